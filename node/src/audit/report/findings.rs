//! What each kind of finding means, in plain words of both languages.
//!
//! Why: the audit words its findings exactly, for engineers; a lawyer needs the sentence before it. In scope: one sentence a
//! kind. Out of scope: the exact words, which follow it on the page. A kind that stands not here is shown in those alone.

use super::words::Text;

macro_rules! meanings {
    ($($kind:literal: $en:literal, $fr:literal;)*) => {
        /// The sentence for the kind that a finding names.
        pub(super) fn meaning(kind: &str) -> Option<Text> {
            match kind {
                $($kind => Some(Text { en: $en, fr: $fr }),)*
                _ => None,
            }
        }

        #[cfg(test)]
        pub(super) const KINDS: &[&str] = &[$($kind),*];
    };
}

meanings! {
    "roster": "A roster does not follow from the one before it.", "Une liste de participants ne découle pas de la précédente.";
    "roster-expired": "The newest roster has expired: the centres owe a new one.",
        "La liste de participants la plus récente a expiré : les centres en doivent une nouvelle.";
    "roster-differs": "A roster here is another one than the auditor was given.",
        "Une liste de participants diffère de celle que l’auditeur a reçue.";
    "roster-missing": "A roster that the auditor was given is missing here.",
        "Une liste de participants que l’auditeur a reçue manque ici.";
    "no-checkpoint": "The centre’s signature under its log is missing.", "La signature du centre sous son journal manque.";
    "fork-proof": "There is a proof that this centre signed two different histories.",
        "Il existe une preuve que ce centre a signé deux histoires différentes.";
    "fork": "Somebody was shown another history of this log than this one.",
        "Une autre histoire de ce journal que celle-ci a été présentée à quelqu’un.";
    "rolled-back": "A source showed an older state of this log than is known.",
        "Une source a présenté un état de ce journal plus ancien que celui qui est connu.";
    "unknown-log": "No roster names this log: nobody answers for it.",
        "Aucune liste de participants ne désigne ce journal : personne n’en répond.";
    "note": "A checkpoint is not correctly signed by its centre.", "Un point de contrôle n’est pas correctement signé par son centre.";
    "log-key-left": "A checkpoint is signed with a key that its centre no longer had.",
        "Un point de contrôle est signé avec une clé que son centre n’avait plus.";
    "log-key-revoked": "A checkpoint is signed with a key that was revoked before.",
        "Un point de contrôle est signé avec une clé révoquée auparavant.";
    "back": "A checkpoint counts fewer entries than an earlier one.",
        "Un point de contrôle compte moins d’entrées qu’un précédent.";
    "beyond": "An earlier checkpoint counts more entries than the newest one: entries may have been taken out.",
        "Un point de contrôle antérieur compte plus d’entrées que le plus récent : des entrées ont pu être ôtées.";
    "history-ends": "The newest checkpoint is missing from the history of checkpoints.",
        "Le point de contrôle le plus récent manque dans l’historique des points de contrôle.";
    "history": "The file with the history of checkpoints cannot be read whole.",
        "Le fichier de l’historique des points de contrôle ne se lit pas en entier.";
    "root": "The entries here are not those that the centre signed: some were changed, added or taken out.",
        "Les entrées présentes ne sont pas celles que le centre a signées : certaines ont été modifiées, ajoutées ou ôtées.";
    "quorum": "Not enough witnesses signed this checkpoint.", "Trop peu de témoins ont signé ce point de contrôle.";
    "cosignature": "The signature of a witness is not valid.", "La signature d’un témoin n’est pas valable.";
    "cosignature-void": "A witness signed with a key that did not count at that time.",
        "Un témoin a signé avec une clé qui ne valait pas à ce moment.";
    "cosigner-left": "A witness signed that was not on the roster any more.",
        "Un témoin a signé alors qu’il ne figurait plus sur la liste de participants.";
    "cosigned-ahead": "A witness states a time of signing that lies in the future.",
        "Un témoin indique une heure de signature située dans l’avenir.";
    "unknown-key": "There is a signature of somebody who is not a witness of this log.",
        "Il y a une signature de quelqu’un qui n’est pas témoin de ce journal.";
    "repeated-key": "One and the same key signed a checkpoint twice.", "Une même clé a signé deux fois un point de contrôle.";
    "file-missing": "A file of the log is missing or cannot be read.", "Un fichier du journal manque ou ne peut être lu.";
    "stray": "There is a file that does not belong to the log.", "Il y a un fichier qui n’appartient pas au journal.";
    "tile-width": "A file of the log is too long or too short.", "Un fichier du journal est trop long ou trop court.";
    "tile-hash": "A file of the log does not fit its entries.", "Un fichier du journal ne correspond pas à ses entrées.";
    "bundle": "A file of entries is damaged.", "Un fichier d’entrées est endommagé.";
    "unread": "Many files are missing: the rest of this log could not be checked.",
        "De nombreux fichiers manquent : le reste de ce journal n’a pu être vérifié.";
    "leaf-hash": "An entry was changed after it was signed.", "Une entrée a été modifiée après avoir été signée.";
    "leaf": "An entry breaks a rule that every centre must keep.", "Une entrée enfreint une règle que tout centre doit respecter.";
    "roster-not-in-chain": "A delta refers to a roster that is not here.",
        "Un delta renvoie à une liste de participants absente.";
    "roster-not-logged": "A delta refers to a roster that the log had not recorded at that point.",
        "Un delta renvoie à une liste de participants que le journal n’avait pas encore enregistrée.";
    "not-on-roster": "An entry was signed when the centre was not on the roster.",
        "Une entrée a été signée alors que le centre ne figurait pas sur la liste de participants.";
    "roster-order": "The log records rosters out of order.", "Le journal enregistre des listes de participants dans le désordre.";
    "roster-hash": "The log records another roster than the one of this network.",
        "Le journal enregistre une autre liste de participants que celle de ce réseau.";
    "not-policy": "A delta names as its policy something that is none.", "Un delta désigne comme politique ce qui n’en est pas une.";
    "policy-not-in-force": "A delta was released under a policy that was not in force.",
        "Un delta a été diffusé sous une politique qui n’était pas en vigueur.";
    "policy": "A policy document is not signed as it must be: it denies everything.",
        "Un document de politique n’est pas signé comme il le doit : il interdit tout.";
    "policy-version": "A policy document is out of order.", "Un document de politique n’est pas dans l’ordre.";
    "policy-fault": "A policy document has faults in its text: it denies everything.",
        "Un document de politique comporte des fautes : il interdit tout.";
    "policy-law": "A policy document is for another law than that of its centre: it denies everything.",
        "Un document de politique relève d’un autre droit que celui de son centre : il interdit tout.";
    "policy-not-signed-off": "A policy document was put in force that counsel has not signed off: it denies everything.",
        "Un document de politique est en vigueur sans avoir été validé par un juriste : il interdit tout.";
    "openings": "A file that was given to open sealed records cannot be used.",
        "Un fichier remis pour ouvrir des inscriptions scellées est inutilisable.";
    "unopened": "The centre did not open a sealed record of its log.",
        "Le centre n’a pas ouvert une inscription scellée de son journal.";
    "openings-end": "What the centre gave does not reach to the end of its log.",
        "Ce que le centre a remis ne va pas jusqu’au bout de son journal.";
    "opens-other": "What the centre gave does not open the record that it names.",
        "Ce que le centre a remis n’ouvre pas l’inscription désignée.";
    "opens-nothing": "Something was given to open an entry that is not sealed.",
        "On a remis de quoi ouvrir une entrée qui n’est pas scellée.";
    "opens-ahead": "What the centre gave goes beyond this copy of its log.",
        "Ce que le centre a remis va au-delà de cette copie de son journal.";
    "opened-twice": "A sealed record was opened in two different ways.",
        "Une inscription scellée a été ouverte de deux façons différentes.";
    "opened-other": "A sealed record holds something that does not belong there.",
        "Une inscription scellée contient ce qui n’a pas lieu d’y être.";
    "statement": "A transfer is not signed by both sides as it must be.",
        "Un transfert n’est pas signé comme il le doit par les deux parties.";
    "said": "What a centre said of an entry, or two of its people ordered, is not signed as it must be.",
        "Ce qu’un centre a dit d’une entrée, ou ce que deux de ses membres ont ordonné, n’est pas signé comme il le doit.";
    "recall": "A recall or its acknowledgement is not signed as it must be.",
        "Un rappel ou son accusé n’est pas signé comme il le doit.";
    "said-by-other": "What another centre said is sealed in this log.",
        "Ce qu’a dit un autre centre est scellé dans ce journal.";
    "not-a-side": "A centre recorded a transfer between others.",
        "Un centre a inscrit un transfert entre d’autres centres.";
    "one-sided": "Only one of the two centres recorded this transfer.",
        "Un seul des deux centres a inscrit ce transfert.";
    "given-of-unknown-log": "A transfer is of a log that is not here.", "Un transfert porte sur un journal absent.";
    "given-delta": "A transfer names a delta that its origin did not sign so.",
        "Un transfert désigne un delta que son origine n’a pas signé ainsi.";
    "given-count": "A transfer counts other records than their origin signed for.",
        "Un transfert compte d’autres enregistrements que ceux que leur origine a signés.";
    "given-undefined": "A class was given that its origin never defined.",
        "Une classe a été communiquée que son origine n’a jamais définie.";
    "statement-chain": "A centre passed on what it did not get, or farther than allowed.",
        "Un centre a transmis ce qu’il n’avait pas reçu, ou plus loin que permis.";
    "parent-unopened": "It was not shown how a centre came by what it passed on.",
        "Il n’a pas été montré comment un centre a obtenu ce qu’il a transmis.";
    "statement-date": "The date of a transfer does not fit what witnesses saw.",
        "La date d’un transfert ne concorde pas avec ce que les témoins ont vu.";
    "older-policy": "A transfer was made under an older policy than the newest one known.",
        "Un transfert a été fait sous une politique plus ancienne que la dernière connue.";
    "not-allowed": "A class was given to another centre although a policy in force did not allow it.",
        "Une classe a été communiquée à un autre centre alors qu’une politique en vigueur ne le permettait pas.";
    "barely-allowed": "A transfer was allowed shortly before or after, not at its own time: clocks may differ.",
        "Un transfert était permis peu avant ou peu après, non à son heure : les horloges peuvent différer.";
    "policies-left-out": "There are more policy documents than an audit takes into account.",
        "Il y a plus de documents de politique qu’un audit n’en prend en compte.";
    "unacknowledged": "A recall was not acknowledged: what was asked back may still be there.",
        "Un rappel n’a pas été accusé : ce qui a été redemandé est peut-être encore là.";
    "recall-unopened": "A recall was acknowledged that nobody showed.", "Un rappel a été accusé que personne n’a montré.";
    "acknowledged-by-other": "A recall was acknowledged by another centre than it went to.",
        "Un rappel a été accusé par un autre centre que son destinataire.";
    "stale": "The newest agreement of the witnesses is old: what came after it may be kept back here.",
        "Le dernier accord des témoins est ancien : ce qui a suivi peut être retenu ici.";
    "closed-log-missing": "An earlier log of this centre is not here and was not checked.",
        "Un journal antérieur de ce centre n’est pas ici et n’a pas été vérifié.";
    "no-fork-proof": "What is given as proof of two histories proves nothing.",
        "Ce qui est présenté comme preuve de deux histoires ne prouve rien.";
    "cosigned-after-leaving": "A witness signed after it had left the roster: its signature does not count.",
        "Un témoin a signé après avoir quitté la liste de participants : sa signature ne compte pas.";
    "not-resumed": "A new log does not say that it takes the place of the centre’s earlier one.",
        "Un nouveau journal ne dit pas qu’il remplace le journal antérieur du centre.";
    "resumes-unlisted": "A log claims the place of one that no roster names.",
        "Un journal prétend remplacer un journal qu’aucune liste de participants ne désigne.";
    "resumed-without-fork": "A log was replaced without proof that it had two histories.",
        "Un journal a été remplacé sans preuve qu’il avait deux histoires.";
    "resumed-no-fork": "A log was replaced for a proof of two histories that does not hold.",
        "Un journal a été remplacé pour une preuve de deux histoires qui ne tient pas.";
    "resumed-beyond": "A new log goes on from entries that only one of the two histories has.",
        "Un nouveau journal continue à partir d’entrées qu’une seule des deux histoires contient.";
    "resumed-not-shown": "The proof here does not show all entries that the new log goes on from to be common.",
        "La preuve présente ici n’établit pas que toutes les entrées reprises par le nouveau journal étaient communes.";
    "resumed-root": "A new log goes on from other entries than the earlier one has.",
        "Un nouveau journal continue à partir d’autres entrées que celles du journal antérieur.";
    "resumed-unread": "The earlier log is not here far enough to compare the new one with it.",
        "Le journal antérieur n’est pas assez complet ici pour y comparer le nouveau.";
    "resumed-other-proof": "The proof here of the two histories is another one than the new log names.",
        "La preuve des deux histoires présente ici n’est pas celle que le nouveau journal désigne.";
    "body": "The content of a delta is not what the centre signed.", "Le contenu d’un delta n’est pas ce que le centre a signé.";
}
