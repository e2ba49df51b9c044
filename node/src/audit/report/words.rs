//! Every word of the page, in English and French.
//!
//! Why: auditors and lawyers of both languages read one and the same file. Spec: `docs/protocol.md` for what the words mean.
//! In scope: sentences with places for values, singular and plural. Out of scope: findings themselves, which the audit words.

use crate::page::text::words;
pub(super) use crate::page::text::{Language, Text};

words! {
    // The head of the page.
    TITLE: "Audit report", "Rapport d’audit";
    SKIP: "Skip to the result", "Aller au résultat";
    CONTENTS: "On this page", "Sur cette page";
    SUBTITLE: "What the logs of the centres prove, checked from copies of them alone",
        "Ce que prouvent les journaux des centres, vérifié à partir de leurs seules copies";

    // The verdict.
    VERDICT_CLEAN: "No findings: all that was checked verifies",
        "Aucune anomalie : tout ce qui a été vérifié est conforme";
    VERDICT_FINDINGS: "{0} finding: part of what was checked does not verify|{0} findings: part of what was checked does not verify",
        "{0} anomalie : une partie de ce qui a été vérifié n’est pas conforme|{0} anomalies : une partie de ce qui a été vérifié n’est pas conforme";
    VERDICT_NOTICES: "Nothing fails to verify; {0} point to note|Nothing fails to verify; {0} points to note",
        "Aucune vérification n’échoue ; {0} point à noter|Aucune vérification n’échoue ; {0} points à noter";
    VERDICT_NOTICES_TOO: "There is also {0} point to note.|There are also {0} points to note.",
        "Il y a aussi {0} point à noter.|Il y a aussi {0} points à noter.";
    VERDICT_MEANS_FAIL: "Something that was signed is contradicted, or something that must be there is not. Each finding below says what and where.",
        "Quelque chose de signé est contredit, ou quelque chose d’obligatoire est absent. Chaque anomalie ci-dessous dit quoi et où.";
    VERDICT_MEANS_CLEAN: "The signatures, the order and the completeness of the logs hold, within the limits told below.",
        "Les signatures, l’ordre et l’intégrité des journaux sont établis, dans les limites indiquées ci-dessous.";
    DEMO: "This network is a demonstration, by its own roster.", "Ce réseau est une démonstration, selon sa propre liste de participants.";
    VERDICT_NOTHING: "Nothing was checked: there is no log in this result",
        "Rien n’a été vérifié : ce résultat ne contient aucun journal";
    VERDICT_AT: "Checked on {0}. This page was written by Hashpact {1}.",
        "Vérifié le {0}. Cette page a été écrite par Hashpact {1}.";
    NETWORK: "Network", "Réseau";
    NETWORK_IS: "The network is named by the fingerprint of its first roster, which the auditor must have received by another way.",
        "Le réseau porte le nom de l’empreinte de sa première liste de participants, que l’auditeur doit avoir reçue par une autre voie.";
    CENTRES: "Centres", "Centres";
    CENTRE: "Centre", "Centre";
    DELTAS: "Deltas", "Deltas";
    RECORDS: "Records", "Enregistrements";
    RETRACTIONS: "Retractions", "Retraits";
    PERIOD: "Period", "Période";
    PERIOD_IS: "{0} to {1}", "du {0} au {1}";

    // Findings.
    FINDINGS: "Findings", "Anomalies";
    FINDINGS_NONE: "None.", "Aucune.";
    FINDINGS_MORE: "{0} more is in the JSON result.|{0} more are in the JSON result.",
        "{0} autre figure dans le résultat JSON.|{0} autres figurent dans le résultat JSON.";
    FINDINGS_LEFT_OUT: "{0} more was counted but not listed.|{0} more were counted but not listed.",
        "{0} autre a été comptée mais non énumérée.|{0} autres ont été comptées mais non énumérées.";
    FINDINGS_LANGUAGE: "Below each finding stand its name for programs and the exact words of the audit program, which are in English.",
        "Sous chaque anomalie figurent son nom pour les programmes et les termes exacts du programme d’audit, en anglais.";
    LOG: "Log", "Journal";
    PLACE: "Place in the log", "Endroit du journal";
    WHAT: "What was found", "Ce qui a été constaté";
    WEIGHT: "Weight", "Gravité";
    FAIL: "does not verify", "non conforme";
    WARN: "to note", "à noter";
    ALL_LOGS: "whole archive", "archive entière";

    // What was checked and what was not.
    SCOPE: "What was checked, and what was not", "Ce qui a été vérifié, et ce qui ne l’a pas été";
    CHECKED: "Checked", "Vérifié";
    NOT_CHECKED: "Not checked: this page says nothing about it", "Non vérifié : cette page n’en dit rien";
    CHECKED_ROSTERS: "Whether each roster is signed by the keys that the one before it names, from the first one on, whose fingerprint the auditor gave.",
        "Si chaque liste de participants est signée par les clés que la précédente désigne, depuis la première, dont l’auditeur a donné l’empreinte.";
    CHECKED_TREE: "Each log was recomputed from all its entries and compared with each checkpoint that its centre signed: whether anything signed was taken out or changed later.",
        "Chaque journal a été recalculé à partir de toutes ses entrées et comparé à chaque point de contrôle signé par son centre : si quelque chose de signé a été ôté ou modifié ensuite.";
    CHECKED_DELTAS: "Whether each delta is signed by its centre with a key valid on the roster, and follows the one before it without a gap.",
        "Si chaque delta est signé par son centre avec une clé valide selon la liste de participants, et suit le précédent sans lacune.";
    CHECKED_ENTRIES: "Whether each delta names the policy that was in force, and uses only classes of labels that the log defined before.",
        "Si chaque delta désigne la politique alors en vigueur et n’emploie que des classes d’étiquettes définies auparavant dans le journal.";
    CHECKED_COSIGNATURES: "The cosignatures of the witnesses on checkpoints, and whether there were enough of them.",
        "Les cosignatures des témoins sur les points de contrôle, et si elles étaient en nombre suffisant.";
    CHECKED_RECEIPTS: "The receipts of mirrors: who signed to have stored each log.",
        "Les accusés de réception des miroirs : qui a signé avoir conservé chaque journal.";
    CHECKED_BODIES: "{0} content of a delta, opened against what its centre signed ({1} records; {2} more were withheld and only counted).|{0} contents of deltas, opened against what their centres signed ({1} records; {2} more were withheld and only counted).",
        "{0} contenu de delta, ouvert et comparé à ce que son centre a signé ({1} enregistrements ; {2} autres étaient masqués et seulement comptés).|{0} contenus de deltas, ouverts et comparés à ce que leurs centres ont signé ({1} enregistrements ; {2} autres étaient masqués et seulement comptés).";
    CHECKED_DISCLOSURES: "{0} transfer between centres, opened to the auditor: its signatures and numbers, and whether each policy of its time allowed it.|{0} transfers between centres, opened to the auditor: their signatures and numbers, and whether each policy of their time allowed them.",
        "{0} transfert entre centres, ouvert à l’auditeur : ses signatures et ses nombres, et si chaque politique alors en vigueur le permettait.|{0} transferts entre centres, ouverts à l’auditeur : leurs signatures et leurs nombres, et si chaque politique alors en vigueur les permettait.";
    NOT_DISCLOSURES: "{0} sealed record of transfers and recalls that was not opened to the auditor.|{0} sealed records of transfers and recalls that were not opened to the auditor.",
        "{0} inscription scellée de transfert ou de rappel qui n’a pas été ouverte à l’auditeur.|{0} inscriptions scellées de transferts et de rappels qui n’ont pas été ouvertes à l’auditeur.";
    NOT_BODIES: "The contents of deltas: the auditor had none. Numbers of records and retractions are those that the centres signed.",
        "Le contenu des deltas : l’auditeur n’en disposait pas. Les nombres d’enregistrements et de retraits sont ceux que les centres ont signés.";
    NOT_BODIES_REST: "The content of {0} delta, which the auditor did not have.|The contents of {0} deltas, which the auditor did not have.",
        "Le contenu de {0} delta, dont l’auditeur ne disposait pas.|Le contenu de {0} deltas, dont l’auditeur ne disposait pas.";
    NOT_LAWFUL: "Whether a record is right or lawful to hold. The logs prove who listed what and when, not that it was justified.",
        "Si un enregistrement est exact ou licite. Les journaux prouvent qui a inscrit quoi et quand, non que c’était justifié.";
    NOT_COMPLETE: "What a centre keeps outside its log, and what happened after the newest checkpoint in this archive.",
        "Ce qu’un centre conserve hors de son journal, et ce qui s’est passé après le point de contrôle le plus récent de cette archive.";
    NOT_APPLIED: "That a retraction took effect at every centre. A receipt proves that a log was stored, no more.",
        "Qu’un retrait a pris effet dans chaque centre. Un accusé de réception prouve la conservation d’un journal, rien de plus.";
    NOT_CLOCKS: "The clocks. Times of deltas are the word of their centre; times of cosignatures are the word of their witness.",
        "Les horloges. Les heures des deltas sont déclarées par leur centre ; celles des cosignatures par leur témoin.";
    NOT_COLLUSION: "What centres and witnesses do when as many as the quorum act together against the others.",
        "Ce que font des centres et des témoins si, en nombre égal au quorum, ils agissent ensemble contre les autres.";

    // One centre.
    JURISDICTION: "Jurisdiction", "Juridiction";
    ORIGIN: "Log", "Journal";
    LEAVES: "Entries in the log", "Entrées du journal";
    CLASSES: "Classes of labels", "Classes d’étiquettes";
    FIRST: "First delta", "Premier delta";
    LAST: "Last delta", "Dernier delta";
    NEVER: "none yet", "aucun";
    FROZEN: "Frozen: a proof that this centre signed two different histories lies in the archive",
        "Gelé : l’archive contient la preuve que ce centre a signé deux histoires différentes";
    LOG_CLEAN: "Verifies", "Conforme";
    LOG_FINDINGS: "{0} finding|{0} findings",
        "{0} anomalie|{0} anomalies";
    EMPTY_LOG: "This log holds no delta yet.", "Ce journal ne contient encore aucun delta.";

    // The timeline.
    TIMELINE: "Timeline of {0}", "Chronologie de {0}";
    TIMELINE_IS: "Deltas: {0}; retractions: {1}; checkpoints witnessed: {2} of {3}; silences of 14 days or more: {4}.",
        "Deltas : {0} ; retraits : {1} ; points de contrôle attestés : {2} sur {3} ; silences de 14 jours ou plus : {4}.";
    KEY_DELTA: "deltas up to a checkpoint (taller: more entries)",
        "deltas jusqu’à un point de contrôle (plus haut : plus d’entrées)";
    KEY_STRETCH: "month with deltas, exact days not in this result", "mois avec deltas, jours exacts absents de ce résultat";
    KEY_RETRACTION: "retractions of a month (larger: more)",
        "retraits d’un mois (plus grand : plus nombreux)";
    KEY_WITNESSED: "checkpoint with enough witnesses", "point de contrôle avec assez de témoins";
    KEY_UNWITNESSED: "checkpoint without enough witnesses", "point de contrôle sans assez de témoins";
    KEY_SILENCE: "14 days or more without a delta", "14 jours ou plus sans delta";
    AGGREGATED: "One mark stands for all within {0}.", "Une marque représente tout ce qui s’est passé en {0}.";
    NOTES_CUT: "The result lists the newest {0} of {1} checkpoints; earlier ones are in the sums only.",
        "Le résultat énumère les {0} points de contrôle les plus récents sur {1} ; les précédents ne figurent que dans les totaux.";
    LANE_DELTAS: "Deltas", "Deltas";
    LANE_RETRACTIONS: "Retractions", "Retraits";
    LANE_CHECKPOINTS: "Checkpoints", "Points de contrôle";
    MARK_DELTAS: "{0} entry added|{0} entries added",
        "{0} entrée ajoutée|{0} entrées ajoutées";
    MARK_STRETCH: "{0} delta in this month|{0} deltas in this month", "{0} delta ce mois|{0} deltas ce mois";
    MARK_RETRACTIONS: "{0} retraction|{0} retractions", "{0} retrait|{0} retraits";
    MARK_WITNESSED: "{0} witnessed checkpoint|{0} witnessed checkpoints", "{0} point de contrôle attesté|{0} points de contrôle attestés";
    MARK_UNWITNESSED: "{0} checkpoint without enough witnesses|{0} checkpoints without enough witnesses",
        "{0} point de contrôle sans assez de témoins|{0} points de contrôle sans assez de témoins";
    MARK_SILENCE: "{0} without a delta", "{0} sans delta";
    SILENCES: "Silences of 14 days or more:",
        "Silences de 14 jours ou plus :";
    SILENCE_IS: "{0} to {1} ({2})", "du {0} au {1} ({2})";
    SILENCE_OPEN: "since {0} ({1})", "depuis le {0} ({1})";

    // Months.
    PER_MONTH: "Per month", "Par mois";
    PER_YEAR: "Per year", "Par année";
    DELTAS_PER_MONTH: "Deltas per month", "Deltas par mois";
    RETRACTIONS_PER_MONTH: "Retractions per month", "Retraits par mois";
    DELTAS_PER_YEAR: "Deltas per year", "Deltas par année";
    RETRACTIONS_PER_YEAR: "Retractions per year", "Retraits par année";
    MONTH: "Month", "Mois";
    AS_TABLE: "These figures as a table", "Ces chiffres en tableau";

    // Cosignatures.
    COSIGNATURES: "Cosignatures", "Cosignatures";
    COSIGNATURES_IS: "How long after the newest delta of a checkpoint each witness signed it. Half of the signatures came within the median, 95 of 100 within the 95 % value.",
        "Combien de temps après le delta le plus récent d’un point de contrôle chaque témoin l’a signé. La moitié des signatures sont arrivées dans le délai médian, 95 sur 100 dans le délai à 95 %.";
    COSIGNATURES_NONE: "This archive holds no checkpoint of this log.", "Cette archive ne contient aucun point de contrôle de ce journal.";
    WITNESS: "Witness", "Témoin";
    SIGNED: "Signed", "Signés";
    MISSING: "Missing", "Manquants";
    MEDIAN: "Median", "Médiane";
    MOST: "95 %",
        "95 %";
    MAX: "Longest", "Maximum";
    SPREAD: "Range of each witness: median, 95 % and longest",
        "Étendue pour chaque témoin : médiane, 95 % et maximum";
    SPREAD_IS: "The scale is logarithmic: each line is a longer unit, not an equal step.",
        "L’échelle est logarithmique : chaque trait est une unité plus longue, non un pas égal.";
    NO_VALUE: "–", "–";
    COUNT: "{0}", "{0}";

    // Missing cosignatures.
    UNWITNESSED: "Checkpoints without enough cosignatures", "Points de contrôle sans assez de cosignatures";
    UNWITNESSED_NONE: "None: every checkpoint in this archive has enough.", "Aucun : chaque point de contrôle de cette archive en a assez.";
    UNWITNESSED_ONE: "at {0} entries, newest delta {1}: {2} of {3} needed cosignatures",
        "à {0} entrées, delta le plus récent le {1} : {2} cosignatures sur {3} nécessaires";
    UNWITNESSED_DATELESS: "at {0} entries, no delta yet: {1} of {2} needed cosignatures",
        "à {0} entrées, sans delta : {1} cosignatures sur {2} nécessaires";
    NEWEST: "Newest checkpoint", "Point de contrôle le plus récent";
    NEWEST_YES: "{0} entries, witnessed {1}", "{0} entrées, attesté le {1}";
    NEWEST_NO: "{0} entries, not witnessed: {1} of {2} needed", "{0} entrées, non attesté : {1} sur {2} nécessaires";
    FINGERPRINT: "Fingerprint of its content", "Empreinte de son contenu";
    BODIES: "Contents of deltas", "Contenus des deltas";
    BODIES_ARE: "{0} verify, {1} refused, {2} not in the folder", "{0} conformes, {1} refusés, {2} absents du dossier";
    BODIES_NONE: "not looked at", "non examinés";
    MISSING_ARE: "; missing: {0}",
        " ; manquent : {0}";
    LIST_MORE: "{0} more|{0} more", "{0} autre|{0} autres";
    NOT_WITNESSED_IS: "Until enough witnesses have signed, other centres act on retractions but not on new records.",
        "Tant qu’assez de témoins n’ont pas signé, les autres centres appliquent les retraits mais non les nouveaux enregistrements.";

    // Receipts.
    RECEIPTS: "Receipts", "Accusés de réception";
    RECEIPTS_IS: "Signed under the newest checkpoint by whoever stored a copy of this log.",
        "Signés sous le point de contrôle le plus récent par ceux qui ont conservé une copie de ce journal.";
    RECEIPTS_MISSING: "No receipt from:",
        "Pas d’accusé de réception de :";

    // Policies and disclosures.
    DISCLOSURES: "Policies and disclosures", "Politiques et communications";
    DISCLOSURES_IS: "A centre may give another one a class of records if its own policy, the policy of whoever passes it on and the policy of the one that takes it all allow it. Both sides sign each transfer and record it sealed in their logs; an auditor to whom the records were opened decides each of them again.",
        "Un centre peut communiquer une classe d’enregistrements à un autre si sa propre politique, celle du centre qui la transmet et celle du centre qui la reçoit le permettent toutes. Les deux parties signent chaque transfert et l’inscrivent scellé dans leurs journaux ; un auditeur à qui ces inscriptions ont été ouvertes décide de nouveau de chacune.";
    GIVEN: "Who gave which classes to whom", "Qui a communiqué quelles classes à qui";
    GIVEN_NONE_OPENED: "The auditor was given nothing that opens the sealed records: no disclosure was judged.",
        "L’auditeur n’a rien reçu qui ouvre les inscriptions scellées : aucune communication n’a été jugée.";
    GIVEN_NOTHING: "No transfer is among the records that were opened.", "Aucun transfert ne figure parmi les inscriptions ouvertes.";
    GIVEN_IS: "{0} transfer was decided again, as of its own time. Numbers of records are those that the origins signed.|{0} transfers were decided again, each as of its own time. Numbers of records are those that the origins signed.",
        "{0} transfert a été décidé de nouveau, à sa propre date. Les nombres d’enregistrements sont ceux que les centres d’origine ont signés.|{0} transferts ont été décidés de nouveau, chacun à sa propre date. Les nombres d’enregistrements sont ceux que les centres d’origine ont signés.";
    GIVEN_MORE: "{0} more row is not shown here.|{0} more rows are not shown here.",
        "{0} autre ligne n’est pas montrée ici.|{0} autres lignes ne sont pas montrées ici.";
    GIVEN_WAY: "From and to", "De et vers";
    GIVEN_OWN: "its own records", "ses propres enregistrements";
    GIVEN_OF: "passed on, of {0}", "transmis, de {0}";
    GIVEN_CLASS: "Class", "Classe";
    GIVEN_UNDEFINED: "not defined", "non définie";
    GIVEN_PURPOSE: "Purpose", "Finalité";
    GIVEN_STATEMENTS: "Transfers", "Transferts";
    GIVEN_ALLOWED: "allowed", "permis";
    GIVEN_FAILED: "{0} does not hold|{0} do not hold", "{0} non conforme|{0} non conformes";
    SEALED: "Sealed records", "Inscriptions scellées";
    SEALED_IS: "A sealed record says nothing to whom it was not opened. One that its centre does not open is a finding.",
        "Une inscription scellée ne dit rien à qui elle n’a pas été ouverte. Celle que son centre n’ouvre pas est une anomalie.";
    SEALED_NONE: "There are none in these logs.", "Ces journaux n’en contiennent aucune.";
    SEALED_DISCLOSURES: "Sealed transfers", "Transferts scellés";
    SEALED_SESSIONS: "Sealed match sessions", "Comparaisons scellées";
    SEALED_OTHERS: "Other sealed records", "Autres inscriptions scellées";
    SEALED_OPENED: "Opened", "Ouvertes";
    SEALED_UNOPENED: "Kept sealed", "Restées scellées";
    POLICIES: "Policy documents", "Documents de politique";
    POLICIES_IS: "Each is signed by two keys of its centre and stands word for word in its log. The newest counts; while it is new, what it newly allows waits and what it newly forbids does not.",
        "Chacun est signé par deux clés de son centre et figure mot pour mot dans son journal. Le plus récent compte ; tant qu’il est nouveau, ce qu’il permet de plus attend, ce qu’il interdit de plus n’attend pas.";
    POLICIES_NONE: "No centre has logged one.", "Aucun centre n’en a inscrit.";
    POLICY_PROFILE: "Profile (law)", "Profil (droit)";
    POLICY_ISSUED: "issued {0}", "établi le {0}";
    POLICY_RULES: "Rules", "Règles";
    POLICY_GRANTS: "Dated legal bases", "Bases légales datées";
    POLICY_SIGNED_OFF: "signed off by counsel", "validé par un juriste";
    POLICY_NOT_SIGNED_OFF: "for demonstration: counsel has not signed it off",
        "pour démonstration : aucun juriste ne l’a validé";
    POLICY_DENIES: "does not hold: it denies everything", "non conforme : il interdit tout";

    // Rosters.
    ROSTERS: "Chain of rosters", "Chaîne des listes de participants";
    ROSTERS_IS: "A roster names the centres and their keys. Each is signed by the keys of the one before it.",
        "Une liste de participants désigne les centres et leurs clés. Chacune est signée par les clés de la précédente.";
    ROSTER_EXPIRED: "expired", "expirée";
    ROSTER_IN_FORCE: "in force", "en vigueur";
    ROSTER_REPLACED: "replaced", "remplacée";
    VERSION: "Version", "Version";
    STATE: "State", "État";
    VALID: "Valid", "Validité";
    ROSTER_CENTRES: "Centres named", "Centres désignés";
    ROSTER_AUDITORS: "Auditors and further witnesses", "Auditeurs et autres témoins";
    NOBODY: "none", "aucun";

    // The words.
    GLOSSARY: "Words used here", "Termes employés";
    WORD_LOG: "Log", "Journal";
    WORD_LOG_IS: "A list to which a centre can only add. It holds proofs and counts, never the hashes themselves.",
        "Une liste à laquelle un centre ne peut qu’ajouter. Elle contient des preuves et des nombres, jamais les empreintes de fichiers elles-mêmes.";
    WORD_DELTA: "Delta", "Delta";
    WORD_DELTA_IS: "One signed delivery of a centre: new or changed records, retractions, or both.",
        "Un envoi signé d’un centre : des enregistrements nouveaux ou modifiés, des retraits, ou les deux.";
    WORD_RETRACTION: "Retraction", "Retrait";
    WORD_RETRACTION_IS: "A centre withdraws a record of its own. Every centre applies it.",
        "Un centre retire l’un de ses propres enregistrements. Chaque centre l’applique.";
    WORD_CLASS: "Class", "Classe";
    WORD_CLASS_IS: "All records of a centre that bear the same labels: what they may be of, on what basis they are held, for what and for whom. Policies decide by class.",
        "Tous les enregistrements d’un centre qui portent les mêmes étiquettes : ce dont il peut s’agir, sur quelle base ils sont détenus, pour quoi et pour qui. Les politiques décident par classe.";
    WORD_STATEMENT: "Transfer", "Transfert";
    WORD_STATEMENT_IS: "What giver and taker sign before anything is given: who, to whom, which classes, how many records, what for and under which policies.",
        "Ce que signent celui qui donne et celui qui reçoit avant toute communication : qui, à qui, quelles classes, combien d’enregistrements, pour quoi et sous quelles politiques.";
    WORD_POLICY: "Policy", "Politique";
    WORD_POLICY_IS: "The rules by which a centre gives and takes classes, for the law that it works under.",
        "Les règles selon lesquelles un centre communique et reçoit des classes, selon le droit qui lui est applicable.";
    WORD_CHECKPOINT: "Checkpoint", "Point de contrôle";
    WORD_CHECKPOINT_IS: "A centre’s signature under its whole log at one size. Two that contradict each other prove a fault.",
        "La signature d’un centre sous tout son journal à une taille donnée. Deux points qui se contredisent prouvent une faute.";
    WORD_WITNESS: "Witness", "Témoin";
    WORD_WITNESS_IS: "Another centre or an auditor who signs (cosigns) a checkpoint after making sure that nothing before it changed. Enough of them together are a quorum.",
        "Un autre centre ou un auditeur qui signe (cosigne) un point de contrôle après s’être assuré que rien n’a changé avant lui. Un nombre suffisant d’entre eux forme un quorum.";
    WORD_RECEIPT: "Receipt", "Accusé de réception";
    WORD_RECEIPT_IS: "A signature that says: I stored these entries.", "Une signature qui dit : j’ai conservé ces entrées.";
    WORD_ROSTER: "Roster", "Liste de participants";
    WORD_ROSTER_IS: "The signed list of centres, auditors and their keys.", "La liste signée des centres, des auditeurs et de leurs clés.";

    // The foot.
    FOOT_REPEAT: "Anybody with the same archive can repeat this audit with: {0}",
        "Quiconque détient la même archive peut refaire cet audit avec : {0}";
    FOOT_QUIET: "This page holds no program and fetches nothing. It is not signed: the proof is the archive, not the page.",
        "Cette page ne contient aucun programme et ne télécharge rien. Elle n’est pas signée : la preuve est l’archive, non la page.";
    FOOT_TIMES: "All times are UTC.", "Toutes les heures sont en UTC.";
}
