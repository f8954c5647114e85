//! Hands the source revision and the compiler version to `tailmeter_build_info`.
//!
//! A packager who builds without the repository sets `TAILMETER_REVISION` instead.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TAILMETER_REVISION");
    let revision = std::env::var("TAILMETER_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
        .or_else(checked_out_revision)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TAILMETER_REVISION={revision}");
    println!("cargo::rustc-env=TAILMETER_RUSTC={}", compiler_version());
}

/// The commit that is checked out, when the package stands in a repository of its own. Unpacked inside
/// somebody else's repository, it would report that one's commit: then it reports none.
fn checked_out_revision() -> Option<String> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let top = git(&package, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != package.canonicalize().ok()? {
        return None;
    }
    // A commit changes the file of the branch and leaves HEAD alone; a checkout changes HEAD. A file that
    // does not exist would make cargo run this at every build.
    let branch = git(&package, &["symbolic-ref", "-q", "HEAD"]);
    let watched = ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    for name in watched {
        if let Some(path) = git(&package, &["rev-parse", "--git-path", name]) {
            let path = package.join(path);
            if path.is_file() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    git(&package, &["rev-parse", "--short=12", "HEAD"])
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    output(Command::new("git").arg("-C").arg(directory).args(arguments))
}

/// The version alone, for example `1.89.0`.
fn compiler_version() -> String {
    std::env::var_os("RUSTC")
        .and_then(|rustc| output(Command::new(rustc).arg("--version")))
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|run| run.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
