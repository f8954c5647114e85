//! The program `tailmeter`. Everything but its exit code is in the library, under `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tailmeter::cli::main()
}
