//! Every word of the page, in English and French. Policies and labels are quoted as they stand.

pub(super) use crate::page::text::Text;
use crate::page::text::words;

words! {
    TITLE: "Policy matrix", "Matrice des politiques";
    SUBTITLE: "Who may receive which class, and whose policy decides it",
        "Qui peut recevoir quelle classe, et quelle politique en décide";
    SKIP: "Skip to the matrix", "Aller à la matrice";

    // In figures.
    ALLOWED_OF: "Allowed", "Autorisés";
    OF: "{0} of {1}", "{0} sur {1}";
    CLASSES: "Classes", "Classes";
    RECIPIENTS: "Recipients", "Destinataires";
    COUNT: "{0}", "{0}";
    AS_OF: "As of", "Au";
    PURPOSE: "Purpose", "Finalité";
    PURPOSE_OF_EACH: "as each profile says", "selon chaque profil";
    PURPOSE_IS: "{0}", "{0}";
    VIA: "Given on by", "Relayé par";
    BOTH_ENDS: "Between centres the origin must share, a relay must reshare and the recipient must admit: one refusal is enough. Nothing is allowed unless a policy permits it.",
        "Entre centres, l’origine doit partager, un relais doit transmettre et le destinataire doit admettre : un seul refus suffit. Rien n’est autorisé sans une politique qui le permette.";
    ASSUMED: "Releases to members are asked about an entry of which this holds: {0}.",
        "Les mises à disposition des membres portent sur une entrée pour laquelle ceci est établi : {0}.";

    // The matrix.
    MATRIX: "Matrix", "Matrice";
    MATRIX_IS: "A row is a class, a column who would receive it. Under a refusal stands the centre that refuses; choose a cell for the reasons.",
        "Une ligne est une classe, une colonne est celui qui la recevrait. Sous un refus figure le centre qui refuse ; choisissez une case pour en lire les raisons.";
    SHOW: "Emphasis", "Mise en évidence";
    SHOW_ALL: "all", "tout";
    SHOW_ALLOWED: "allowed", "autorisés";
    SHOW_DENIED: "denied", "refusés";
    CLASS: "Class", "Classe";
    CENTRES: "Centres", "Centres";
    MEMBER: "{0} ({1}), to {2}", "{0} ({1}), finalité {2}";
    MADE_BY: "Made by {0} ({1})", "Produites par {0} ({1})";
    ENTRIES: "{0} entry|{0} entries", "{0} entrée|{0} entrées";
    USUAL: "Unless a row says otherwise:", "Sauf indication contraire d’une ligne :";
    NOT_STATED: "not stated", "non indiqué";

    // What a cell says.
    ALLOWED: "allowed", "autorisé";
    DENIED: "denied", "refusé";
    FAILED: "could not be decided, so denied", "décision impossible, donc refus";
    UNKNOWN: "not known", "inconnu";
    OWN: "its own", "les siennes";
    LEGEND_DENIED: "denied, and by whom", "refusé, et par qui";
    LEGEND_UNKNOWN: "nobody who is known denies it, but a policy or a purpose is not known",
        "aucun refus connu, mais une politique ou une finalité est inconnue";
    UNTIL: "until {0}", "jusqu’au {0}";
    ASK_AGAIN: "ask again on {0}", "à redemander le {0}";

    // What is decided.
    SHARE: "share", "partage";
    RESHARE: "reshare", "retransmission";
    ADMIT: "admit", "admission";
    PUBLISH: "publish", "publication";
    MATCH: "match", "comparaison";
    REVEAL: "reveal", "révélation";

    // Why.
    WHY: "Why, class by class", "Pourquoi, classe par classe";
    WHY_IS: "The policies that determined each answer, with the basis that each of them names.",
        "Les politiques qui ont déterminé chaque réponse, avec le fondement que chacune indique.";
    RECIPIENT: "Recipient", "Destinataire";
    ANSWER: "Answer", "Réponse";
    DECIDED_BY: "Decided by", "Décidé par";
    PERMITTED: "permits it, and nothing forbids it", "le permet, et rien ne l’interdit";
    FORBIDDEN: "forbids it", "l’interdit";
    NO_PERMIT: "no policy permits it, and the default is no", "aucune politique ne le permet, et la règle par défaut est non";
    FLOOR: "no such entry is released, whatever a profile permits",
        "aucune entrée de ce type n’est mise à disposition, quoi qu’un profil permette";
    OPEN: "a demonstration in which no centre has logged a policy",
        "démonstration où aucun centre n’a journalisé de politique";
    NO_DOCUMENT: "its log holds no policy in force, and the default is no",
        "son journal ne contient aucune politique en vigueur, et la règle par défaut est non";
    UNREADABLE: "its document could not be read, so it denies everything",
        "son document n’a pas pu être lu, donc il refuse tout";
    ERROR: "an error while deciding denies", "une erreur pendant la décision vaut refus";
    NOT_KNOWN: "its policy or the purpose is not known here", "sa politique ou la finalité est inconnue ici";
    BACK: "back to the matrix", "retour à la matrice";

    // The policies.
    POLICIES: "Policies that decided", "Politiques qui ont décidé";
    POLICIES_IS: "Names and bases are quoted from the profiles in their own language.",
        "Les noms et fondements sont cités des profils dans leur langue.";
    POLICY: "Policy", "Politique";
    OF_CENTRE: "Of", "De";
    ALLOWS: "Permits", "Permet";
    DENIES: "Denies", "Refuse";
    BASIS: "Basis", "Fondement";
    COUNSEL: "Counsel", "Conseil juridique";
    CONFIRM: "must confirm", "doit confirmer";
    CONFIRMED: "confirmed", "confirmé";
    NETWORK_RULE: "rule of the network", "règle du réseau";

    // The foot.
    FOOT_NOT_ADVICE: "What policies say is quoted, not judged: this page is no legal advice.",
        "Le contenu des politiques est cité, non jugé : cette page n’est pas un avis juridique.";
    FOOT_QUIET: "This page holds no program and fetches nothing. It shows what the named profiles answer; what is in force stands in the logs.",
        "Cette page ne contient aucun programme et ne télécharge rien. Elle montre ce que répondent les profils nommés ; ce qui est en vigueur figure dans les journaux.";
}
