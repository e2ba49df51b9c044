//! This centre's own row of the overlap: its values of one type, counted against every other centre.
//!
//! In scope: which values, and what becomes of a centre that does not answer. Out of scope: the count (`matching`).

use std::path::PathBuf;
use std::sync::Arc;

use hashpact_protocol::delta::Seq;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use serde_json::Value;

use super::matching::PeerOpener;
use super::server::{failed, input, no};
use super::{Fault, chain};
use crate::clock;
use crate::daemon::Handle;
use crate::matching::check::{CheckError, CheckOrder, Checker};
use crate::matching::client::list::{Items, List};
use crate::matching::client::{Hear, Outcome};
use crate::matching::overlap::{Cell, FORM, Row};

/// Counts, centre by centre; one that refuses or does not answer has its reason in its cell.
pub(super) async fn answer(
    handle: &Handle,
    kind: &str,
    purpose: &str,
    pad: bool,
) -> Result<Value, Fault> {
    let known = Algorithm::from_name(kind).filter(|kind| kind.code().is_some());
    let kind = known.ok_or_else(|| input(format!("{kind}: no type that is matched")))?;
    let purpose = Purpose::from_name(purpose);
    let purpose = purpose.ok_or_else(|| input("no such purpose".to_owned()))?;
    let Some(_place) = handle.reach.place() else {
        let text = "a list is being checked: wait for it, then repeat the command";
        return Err(no(text.to_owned()));
    };
    let status = handle.status().await;
    let status = status.map_err(|error| failed(error.to_string()))?;
    let items = own(handle, &kind, status.own.deltas).await?;
    let mut row = Row {
        overlap: FORM,
        network: status.network,
        centre: status.centre,
        kind: kind.name().to_owned(),
        values: items.len() as u64,
        at: clock::now().get(),
        cells: Vec::new(),
    };
    for centre in handle.reach.others() {
        let order = CheckOrder {
            centre: centre.clone(),
            file: PathBuf::new(),
            bare: None,
            mode: MatchMode::Count,
            purpose,
            pad,
        };
        let counted = count(handle, &order, &items).await?;
        row.cells.push(match counted {
            Ok(outcome) => Cell {
                with: centre.to_string(),
                matches: Some(outcome.matches),
                held: Some(outcome.groups.iter().map(|group| group.held).sum()),
                refused: None,
            },
            Err(why) => Cell {
                with: centre.to_string(),
                matches: None,
                held: None,
                refused: Some(why),
            },
        });
    }
    serde_json::to_value(row).map_err(|error| failed(error.to_string()))
}

/// One count, or why there is none.
async fn count(
    handle: &Handle,
    order: &CheckOrder,
    items: &Arc<Items>,
) -> Result<Result<Outcome, String>, Fault> {
    let Some((opener, roster)) = handle.reach.to(&order.centre) else {
        return Ok(Err("not reached by the roster in force".to_owned()));
    };
    let hear: Hear = Arc::new(|_| {});
    let checker: Checker<'_, PeerOpener> = Checker {
        opener: &opener,
        roster,
        caches: &handle.reach.caches,
        node: Some(handle),
        hear,
    };
    let fault = |error: CheckError| failed(chain(&error));
    let cache = handle.reach.caches.of(&order.centre);
    let cache = Arc::new(cache.map_err(|error| fault(error.into()))?);
    let counted = checker.one(order, &cache, items).await.map_err(fault)?;
    Ok(counted.map_err(|error| chain(&error)))
}

/// This centre's own values of a type that are in force.
async fn own(handle: &Handle, kind: &Algorithm, deltas: u64) -> Result<Arc<Items>, Fault> {
    let (store, kind) = (Arc::clone(&handle.store), kind.clone());
    let read = tokio::task::spawn_blocking(move || {
        let mut values = Vec::new();
        for seq in 0..deltas {
            let records = store
                .own_records(Seq(seq))
                .map_err(|error| failed(chain(&error)))?;
            let prints = records.into_iter().flat_map(|record| record.fingerprints);
            values.extend(prints.filter(|print| *print.algorithm() == kind));
        }
        let list = List::of_values(values.into_iter());
        let list = list.map_err(|error| no(format!("this centre's own values: {error}")))?;
        let items = list.into_types().next();
        items.ok_or_else(|| no("this centre has no value of the type".to_owned()))
    });
    let read = read.await.map_err(|error| failed(error.to_string()))?;
    read.map(Arc::new)
}
