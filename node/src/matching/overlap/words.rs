//! Every word of the page, in English and French.

pub(super) use crate::page::text::Text;
use crate::page::text::words;

words! {
    TITLE: "Overlap of centres", "Recoupement des centres";
    SUBTITLE: "How many values of each centre’s list another one holds too",
        "Combien de valeurs de la liste de chaque centre un autre détient aussi";
    SKIP: "Skip to the table", "Aller au tableau";
    KIND: "Fingerprint type", "Type d’empreinte";
    NAME: "{0}", "{0}";
    ROWS: "Rows measured", "Lignes mesurées";
    COUNT: "{0}", "{0}";
    NEWEST: "Newest row", "Ligne la plus récente";
    TABLE: "Counts", "Décomptes";
    TABLE_IS: "A row is a list, a column is who holds its values too. The number is a count; the share below it is of the row’s values, and the fill rises with it.",
        "Une ligne est une liste, une colonne est celui qui en détient aussi les valeurs. Le nombre est un décompte ; la part indiquée dessous est celle des valeurs de la ligne, et le remplissage monte avec elle.";
    LIST_OF: "List of", "Liste de";
    VALUES: "Values", "Valeurs";
    OWN: "its own", "la sienne";
    REFUSED: "not counted", "non décompté";
    UNKNOWN: "nobody measured it", "personne ne l’a mesuré";
    SHARE: "{0} %", "{0} %";
    LESS_THAN_ONE: "less than 1 %", "moins de 1 %";
    WHY: "Why there is no count", "Pourquoi il n’y a pas de décompte";
    PAIR: "{0}, asked by {1}", "{0}, à la demande de {1}";
    FOOT_EQUAL: "Only equal values are counted: near matches are not found, and a value that is not held in a class that may be counted is not in a number.",
        "Seules les valeurs égales sont décomptées : les correspondances approchées ne sont pas trouvées, et une valeur qui n’est pas détenue dans une classe décomptable ne figure dans aucun nombre.";
    FOOT_SAYS: "Each row is what its centre says that it measured; a centre that answers is trusted to follow the protocol.",
        "Chaque ligne est ce que son centre dit avoir mesuré ; le centre qui répond est supposé suivre le protocole.";
}
