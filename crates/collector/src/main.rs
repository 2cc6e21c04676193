//! The binary `tcp-info`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    collector::main()
}
