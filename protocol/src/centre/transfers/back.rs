//! What a recall changes in transfers: nothing is served on under its statements, and what is gone is missing again.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::{Centre, Output};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::transfer::{Missing, Opening, Statement, shelf};
use crate::view::{Shelf, View, Write};

impl Centre {
    /// Ends every statement under which one of these classes would still be served.
    pub(in super::super) fn stop_serving(
        &mut self,
        to: &CentreId,
        origin: &Origin,
        classes: &[ClassId],
        view: &impl View,
    ) -> Vec<Write> {
        let gives = |hash: &Hash| {
            let opening = view.kept(Shelf::Statement, hash);
            let opening = opening.and_then(|kept| Opening::from_bytes(&kept).ok());
            let statement = opening.and_then(|it| Statement::read_unverified(&it.signed).ok());
            // One that cannot be read is served no more either.
            statement.is_none_or(|statement| {
                let given = statement.by_class();
                let any = classes.iter().any(|class| given.contains_key(class));
                statement.to == *to && statement.origin == *origin && any
            })
        };
        // What is durable counts: where a recall could not be logged, the next one finds all of it again.
        let serving = shelf::all_serving(view).into_iter();
        let over: Vec<Hash> = serving.map(|(hash, _)| hash).filter(gives).collect();
        for hash in &over {
            self.transfers.serving.remove(hash);
        }
        over.iter().map(|hash| shelf::serves(hash, None)).collect()
    }

    /// Classes of a stored delta are gone: they are missing, and asked for again when they may come.
    pub(in super::super) fn missing_again(
        &mut self,
        origin: &Origin,
        seq: Seq,
        gone: &[(ClassId, u64)],
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> Write {
        let mut rows: Vec<Missing> = Vec::new();
        for (class, count) in gone {
            rows.push(Missing {
                class: *class,
                count: *count,
                by: self.withholder(origin, *class, giver, now, view),
            });
        }
        let deltas = self.transfers.missing.entry(origin.clone()).or_default();
        let missing = deltas.entry(seq).or_default();
        missing.retain(|row| !rows.iter().any(|gone| gone.class == row.class));
        missing.extend(rows);
        missing.sort_by_key(|row| row.class);
        self.transfers.changes += 1;
        shelf::withheld(origin, seq, missing)
    }

    /// Nothing that is on its way from a giver is stored any more; what is still allowed is agreed anew.
    pub(in super::super) fn drop_under_way(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        out: &mut Vec<Output>,
    ) {
        self.end_transfer(origin, giver, out);
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.ready.retain(|_, arrived| !arrived.is_from(giver));
        }
    }
}
