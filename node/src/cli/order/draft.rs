//! `hashpact order new`: what an order says, as it is typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::evidence::{Hold, HoldCode, Lift, OptIn, Order, OrderBy, Series, Surge};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::record::EntryId;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::{described, sign, write};
use crate::audit::at::At;
use crate::clock;
use crate::config::Config;
use crate::home::{Home, PassphraseSource};
use crate::policy::logs::Logs;

const DAY_S: u64 = 86_400;

#[derive(Subcommand)]
pub(in super::super) enum NewCommand {
    /// Keep entries from every provider for a time; they lapse back by themselves.
    #[command(
        after_help = "A hold is for at most 30 days and 256 entries and series, is hidden from providers, and is logged sealed, so that auditors\nsee it. It goes to every centre that holds the entries. Reasons: investigation, victim_identification, legal_order, review.\n\nExamples:\n  hashpact --home ca order new hold --entry us.example/us/1:0f5e…6f --days 7 --reason investigation --out hold.txt\n  hashpact --home ca order new hold --series 77d1…0d --days 30 --reason victim_identification --out hold.txt --key alice.key"
    )]
    Hold(HoldArgs),
    /// End a hold of this centre before its time.
    #[command(
        after_help = "Example:\n  hashpact --home ca order new lift 5be1…c4 --out lift.txt --key alice.key"
    )]
    Lift(LiftArgs),
    /// Release entries of another jurisdiction on their origin's assessment, without a second centre's.
    #[command(
        after_help = "Without --class all classes of the log, also those to come. It concerns this centre's providers alone.\n\nExample:\n  hashpact --home ca order new opt-in us.example/us/1 --class 3 --class 8 --until 2027-01-01 --out opt-in.txt"
    )]
    OptIn(OptInArgs),
    /// Release more entries of an origin on one day than the cap says.
    #[command(
        after_help = "Example:\n  hashpact --home ca order new surge us.example/us/1 --up-to 200000 --out surge.txt"
    )]
    Surge(SurgeArgs),
}

#[derive(Args)]
struct Out {
    /// Where to write the order; a file that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A policy key's file, of whoever signs now.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

#[derive(Args)]
pub(in super::super) struct HoldArgs {
    /// An entry: its log and its id, as LOG:ID.
    #[arg(long, value_name = "LOG:ID", required_unless_present = "series")]
    entry: Vec<String>,
    /// A series of records, 32 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    series: Vec<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// For how many days from now.
    #[arg(long, required_unless_present = "until", conflicts_with = "until")]
    days: Option<u64>,
    /// Until when: Unix seconds, or a date such as 2026-01-31 or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    until: Option<At>,
    #[command(flatten)]
    out: Out,
}

#[derive(Args)]
pub(in super::super) struct LiftArgs {
    /// The hash of the hold, as `order list` prints it.
    hold: String,
    #[command(flatten)]
    out: Out,
}

#[derive(Args)]
pub(in super::super) struct OptInArgs {
    /// The log.
    origin: Origin,
    /// A class of it; all of them without one.
    #[arg(long, value_name = "NUMBER")]
    class: Vec<u16>,
    /// Until when.
    #[arg(long, value_name = "TIME")]
    until: At,
    #[command(flatten)]
    out: Out,
}

#[derive(Args)]
pub(in super::super) struct SurgeArgs {
    /// The log.
    origin: Origin,
    /// How many entries of it in all.
    #[arg(long, value_name = "COUNT")]
    up_to: u64,
    /// The day; today without it.
    #[arg(long, value_name = "DATE")]
    day: Option<At>,
    #[command(flatten)]
    out: Out,
}

pub(super) fn new(
    home: &Home,
    source: &PassphraseSource,
    command: &NewCommand,
) -> Result<Answer, Failure> {
    home.check_made().map_err(home_failure)?;
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let logs = Logs::open(home).map_err(Failure::input)?;
    let by = OrderBy {
        network: logs.network(),
        centre: checked.centre.clone(),
        time: clock::now(),
    };
    let known = |origin: &Origin| {
        let mut centres = logs.roster().centres.iter();
        match centres.any(|centre| centre.origin == *origin) {
            true => Ok(()),
            false => Err(Failure::no(format!(
                "{origin} is the log of no centre of roster {}",
                logs.roster().version
            ))),
        }
    };
    let (order, out) = match command {
        NewCommand::Hold(args) => {
            let hold = hold(args, by)?;
            hold.entries.keys().try_for_each(known)?;
            (Order::Hold(hold), &args.out)
        }
        NewCommand::Lift(args) => {
            let mut hold = [0; 32];
            hex::decode_to_slice(&args.hold, &mut hold)
                .map_err(|_| Failure::input("a hash is 64 hexadecimal digits"))?;
            (Order::Lift(Lift { by, hold }), &args.out)
        }
        NewCommand::OptIn(args) => {
            known(&args.origin)?;
            let mut classes: Vec<ClassId> = args.class.iter().copied().map(ClassId).collect();
            classes.sort_unstable();
            classes.dedup();
            let opt_in = OptIn {
                by,
                origin: args.origin.clone(),
                classes: Some(classes).filter(|classes| !classes.is_empty()),
                until: args.until.0,
            };
            (Order::OptIn(opt_in), &args.out)
        }
        NewCommand::Surge(args) => {
            known(&args.origin)?;
            (Order::Surge(surge(args, by)?), &args.out)
        }
    };
    if out.out.exists() {
        let out = out.out.display();
        return Err(Failure::no(format!(
            "{out}: there is a file already: choose another name"
        )));
    }
    let draft = order.sign(&[]).map_err(Failure::input)?;
    let signed = sign(&out.out, draft, &out.key, source)?;
    write(&out.out, &signed)?;
    described(&out.out, &signed)
}

fn hold(args: &HoldArgs, by: OrderBy) -> Result<Hold, Failure> {
    let mut entries: BTreeMap<Origin, Vec<EntryId>> = BTreeMap::new();
    for text in &args.entry {
        let wrong = || {
            Failure::input(
                "an entry is LOG:ID, such as us.example/us/1:0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f",
            )
        };
        let (origin, id) = text.rsplit_once(':').ok_or_else(wrong)?;
        let origin: Origin = origin.parse().map_err(|_| wrong())?;
        let id: EntryId = id.parse().map_err(|_| wrong())?;
        entries.entry(origin).or_default().push(id);
    }
    for list in entries.values_mut() {
        list.sort_unstable();
        list.dedup();
    }
    let series = args.series.iter().map(|text| {
        let mut id: Series = [0; 16];
        hex::decode_to_slice(text, &mut id)
            .map_err(|_| Failure::input("a series is 32 hexadecimal digits"))?;
        Ok(id)
    });
    let mut series = series.collect::<Result<Vec<_>, Failure>>()?;
    series.sort_unstable();
    series.dedup();
    let code = HoldCode::from_name(&args.reason).ok_or_else(|| {
        let names: Vec<&str> = HoldCode::VALUES.iter().map(|(_, name)| *name).collect();
        Failure::input(format!(
            "no such reason of a hold: it is one of {}",
            names.join(", ")
        ))
    })?;
    let from = by.time;
    let seconds = args.days.unwrap_or(0).saturating_mul(DAY_S);
    let until = args.until.map_or_else(
        || Timestamp::new(from.get().saturating_add(seconds)),
        |until| until.0,
    );
    Ok(Hold {
        by,
        entries,
        series,
        code,
        from,
        until,
    })
}

fn surge(args: &SurgeArgs, by: OrderBy) -> Result<Surge, Failure> {
    let day = args.day.map_or(by.time, |at| at.0).get() / DAY_S;
    let day = u32::try_from(day).map_err(|_| Failure::input("a day before 2243"))?;
    Ok(Surge {
        by,
        origin: args.origin.clone(),
        day,
        up_to: args.up_to,
    })
}
