//! The binary `tcp-stream-exporter`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::main()
}
