//! The `hashpact-testnet` program: four centres on one machine, or, as `hashpact-testnet node …`, the `hashpact` program.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|first| first == "node") {
        args.remove(1);
        return hashpact_node::cli::run(args);
    }
    hashpact_testnet::cli::run(args)
}
