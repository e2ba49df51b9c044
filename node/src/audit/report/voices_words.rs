//! The words of what was said of entries and of delivery, in English and French.

use crate::page::text::words;

words! {
    VOICES: "What centres said of entries", "Ce que les centres ont dit des entrées";
    VOICES_IS: "Attestations, disputes, feedback and holds stand sealed in the log of the centre that signed them. These are sums of those that were opened; no entry is named.",
        "Attestations, contestations, retours et suspensions figurent sous scellé dans le journal du centre qui les a signés. Voici les totaux de ce qui a été ouvert ; aucune entrée n’est nommée.";
    VOICES_NONE: "Nothing of the kind was opened.", "Rien de tel n’a été ouvert.";
    ATTESTATIONS: "Attestations made", "Attestations établies";
    DISPUTES: "Disputes raised", "Contestations soulevées";
    DISPUTES_ANSWERED: "of which answered", "dont traitées";
    NEGATIVE: "Members said no", "Membres : non";
    AFFIRMATIVE: "Members said yes", "Membres : oui";
    FEEDBACK_ANSWERED: "Feedback answered", "Retours traités";
    ANSWERS: "Answers given", "Réponses données";
    HOLDS: "Investigation holds", "Suspensions pour enquête";
    FEW: "fewer than {0}", "moins de {0}";
    DELIVERY: "Retractions not applied or acknowledged", "Rétractations non appliquées ou non confirmées";
    DELIVERY_IS: "Each centre says who has not said yet that it applied its retractions. This is the centre’s word: no log shows it.",
        "Chaque centre indique qui n’a pas encore confirmé avoir appliqué ses rétractations. C’est la parole du centre : aucun journal ne le montre.";
    DELIVERY_NONE: "No centre gave a list: this was not checked.", "Aucun centre n’a remis de liste : ce point n’a pas été vérifié.";
    AS_OF: "As the centre said on {0}.", "D’après le centre, le {0}.";
    ALL_DELIVERED: "All centres and members have applied everything.", "Tous les centres et membres ont tout appliqué.";
    WHO: "Who", "Qui";
    OWED: "Not applied", "Non appliquées";
    SINCE: "Waiting", "En attente";
    SINCE_IS: "since {0}", "depuis le {0}";
    MEMBER: "Member", "Membre";
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::page::text::complete;

    #[test]
    fn every_sentence_is_said_in_both_languages() {
        complete(ALL, &[]);
    }
}
