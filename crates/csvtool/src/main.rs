//! The `csvtool` command; everything it does is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    csvtool::cli::main()
}
