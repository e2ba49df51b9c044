//! The `hashpact` program; all of it is library code.

fn main() -> std::process::ExitCode {
    hashpact_node::cli::run(std::env::args_os())
}
