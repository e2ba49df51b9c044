//! `hashpact dispute` and `hashpact feedback`: contesting entries of others, and answering what is said of this centre's own.

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hashpact_keys::Timestamp;
use serde_json::Value;

use super::{Answer, Failure};
use crate::audit::at::At;
use crate::control::Request;
use crate::control::client::Client;
use crate::control::evidence::Ask;
use crate::home::Home;
use crate::page::text::counted;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A dispute goes to the origin and to every centre that holds the entry, and marks it there. It stands until it is withdrawn,\nor the entry is stated anew; the origin's answer alone does not end it. Two centres of two countries make an entry disputed,\nand then no provider gets it.\n\nFields: entry, fingerprints, content_class, depiction, age, pubertal_stage, features, legal_status.\nReasons: adult, age_undetermined, not_csam, wrong_depiction, collision, rights_request, other_law.\n\nExamples:\n  hashpact dispute 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f --field age --reason adult\n  hashpact dispute withdraw 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f"
)]
pub(super) struct DisputeArgs {
    #[command(subcommand)]
    command: Option<DisputeCommand>,
    /// The entry id, as `lookup` prints it.
    #[arg(required = true)]
    entry: Option<String>,
    /// The log that it is of; found by its id without it.
    #[arg(long, value_name = "LOG")]
    origin: Option<String>,
    /// Which part of the record is contested.
    #[arg(long, required = true)]
    field: Option<String>,
    /// Why.
    #[arg(long, required = true)]
    reason: Option<String>,
}

#[derive(Subcommand)]
enum DisputeCommand {
    /// Take this centre's disputes of an entry back.
    #[command(
        after_help = "Example:\n  hashpact dispute withdraw 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f"
    )]
    Withdraw {
        /// The entry id.
        entry: String,
        /// The log that it is of; found by its id without it.
        #[arg(long, value_name = "LOG")]
        origin: Option<String>,
        /// Hash of the one dispute that is meant; all of them without it.
        #[arg(long, value_name = "HASH")]
        of: Option<String>,
    },
}

#[derive(Subcommand)]
pub(super) enum FeedbackCommand {
    /// What is said of this centre's entries and waits for its answer: disputes, and negative votes of members.
    #[command(
        after_help = "What was answered, withdrawn or retracted is not listed. `hashpact lookup` counts every vote.\n\nExample:\n  hashpact feedback list --json"
    )]
    List,
    /// Pass on what a member of this centre says of an entry that it matched, if it did not say so over the gateway.
    #[command(
        after_help = "Other centres learn a pseudonym of the member, and no name. Its newest word counts.\n\nExamples:\n  hashpact feedback give 0f5e…6f --member acme --vote negative --reason not_csam --algorithm pdq\n  hashpact feedback give 0f5e…6f --member acme --vote affirmative"
    )]
    Give {
        /// The entry id, as `lookup` prints it.
        entry: String,
        /// The log that it is of; found by its id without it.
        #[arg(long, value_name = "LOG")]
        origin: Option<String>,
        /// The member.
        #[arg(long, value_name = "NAME")]
        member: String,
        /// affirmative (it is what the entry says) or negative.
        #[arg(long)]
        vote: String,
        /// Why, of a negative vote.
        #[arg(long)]
        reason: Option<String>,
        /// Type of the fingerprint that matched.
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Answer a dispute or feedback; whoever said it gets the answer.
    #[command(
        after_help = "An answer changes no record: retract what is wrong with `hashpact retract ENTRY --reason …`, and then accept.\n\nExamples:\n  hashpact feedback answer 5be1…c4 accepted\n  hashpact feedback answer 5be1…c4 declined --reason age_undetermined"
    )]
    Answer {
        /// Its hash, as `feedback list` prints it.
        of: String,
        /// accepted or declined.
        verdict: String,
        /// Why, as a reason code.
        #[arg(long)]
        reason: Option<String>,
    },
}

fn ask(home: &Home, ask: Ask) -> Result<Value, Failure> {
    let answer = Client::connect(home)?.ask(&Request::Evidence(ask), |_| {})?;
    Ok(answer)
}

pub(super) fn dispute(home: &Home, args: DisputeArgs) -> Result<Answer, Failure> {
    if let Some(DisputeCommand::Withdraw { entry, origin, of }) = args.command {
        let json = ask(home, Ask::Withdraw { entry, origin, of })?;
        let count = json["withdrawn"].as_u64().unwrap_or(0);
        let text = format!("{} withdrawn.", counted(count, "dispute is|disputes are"));
        return Ok(Answer::new(json, text));
    }
    let (Some(entry), Some(field), Some(reason)) = (args.entry, args.field, args.reason) else {
        return Err(Failure::input("give ENTRY, --field and --reason"));
    };
    let json = ask(
        home,
        Ask::Dispute {
            entry,
            origin: args.origin,
            field,
            reason,
        },
    )?;
    let hash = json["dispute"].as_str().unwrap_or_default();
    let text = format!("Dispute {hash} is logged, and on the way to whoever holds the entry.");
    Ok(Answer::new(json, text))
}

pub(super) fn feedback(home: &Home, command: FeedbackCommand) -> Result<Answer, Failure> {
    match command {
        FeedbackCommand::List => {
            let json = ask(home, Ask::Waiting)?;
            let text = cases(&json);
            Ok(Answer::new(json, text))
        }
        FeedbackCommand::Give {
            entry,
            origin,
            member,
            vote,
            reason,
            algorithm,
        } => {
            let give = Ask::Give {
                entry,
                origin,
                member,
                vote,
                reason,
                algorithm,
            };
            let json = ask(home, give)?;
            let hash = json["feedback"].as_str().unwrap_or_default();
            let text = format!("Feedback {hash} is logged, and on the way to the origin.");
            Ok(Answer::new(json, text))
        }
        FeedbackCommand::Answer {
            of,
            verdict,
            reason,
        } => {
            let json = ask(
                home,
                Ask::Answer {
                    of,
                    verdict,
                    reason,
                },
            )?;
            let text = "The answer is logged, and on its way.".to_owned();
            Ok(Answer::new(json, text))
        }
    }
}

fn cases(json: &Value) -> String {
    let cases = json["cases"].as_array().map_or(&[][..], Vec::as_slice);
    if cases.is_empty() {
        return "Nothing waits for an answer.".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["day", "what", "by", "entry", "why", "hash"]);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let day = case["day"].as_u64().unwrap_or(0).saturating_mul(86_400);
        let why = match text("field") {
            "" => text("reason").to_owned(),
            field => format!("{field}: {}", text("reason")),
        };
        table.add_row([
            At(Timestamp::new(day)).to_string(),
            text("kind").to_owned(),
            text("by").to_owned(),
            format!("{} revision {}", text("entry"), case["revision"]),
            why,
            text("hash").to_owned(),
        ]);
    }
    let all = json["waiting"].as_u64().unwrap_or(0);
    format!(
        "{table}\n{} for an answer, the oldest first: hashpact feedback answer HASH accepted|declined",
        counted(all, "case waits|cases wait")
    )
}
