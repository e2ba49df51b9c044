//! `hashpact gateway`: what the gateway is, without a running node.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{Answer, Failure};

#[derive(Subcommand)]
pub(super) enum GatewayCommand {
    /// Write the OpenAPI description that the gateway serves at /v1/openapi.json.
    #[command(after_help = "Example:\n  hashpact gateway openapi --out openapi.json")]
    Openapi {
        /// The file; standard output without it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) fn gateway(command: &GatewayCommand) -> Result<Answer, Failure> {
    let GatewayCommand::Openapi { out } = command;
    let document = crate::gateway::openapi();
    let text = document.to_pretty_json().map_err(Failure::failed)?;
    match out {
        None => {
            let json = serde_json::from_str(&text).map_err(Failure::failed)?;
            Ok(Answer::new(json, text))
        }
        Some(file) => {
            fs::write(file, format!("{text}\n")).map_err(Failure::failed)?;
            let said = format!("Wrote {}.", file.display());
            Ok(Answer::new(json!({ "wrote": file }), said))
        }
    }
}
