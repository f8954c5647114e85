"""What the scripts beside this file share: finding programs, generating logs, reading counts."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CACHE = TARGET / "compare"

DEBIAN_PACKAGES = {
    "halog": "haproxy",
    "mtail": "mtail",
    "pflogsumm": "pflogsumm",
    "valgrind": "valgrind",
    "taskset": "util-linux",
    "wc": "coreutils",
    "cargo": "cargo (or https://rustup.rs)",
}


def fail(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def program(name):
    """The path of an installed program, or the end of the run with the package to install."""
    # halog lives in /usr/sbin, which is not on everybody's PATH.
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return path or fail(f"{name} is missing: apt-get install {DEBIAN_PACKAGES.get(name, name)}")


def built(name, variable, *arguments):
    """The release build of one of our programs, or what the environment variable names instead."""
    if override := os.environ.get(variable):
        return shutil.which(override) or fail(f"{variable}={override}: no such program")
    command = [program("cargo"), "build", "--release", "--quiet", *arguments]
    if subprocess.run(command, cwd=ROOT).returncode:
        fail("the build failed; see above")
    folder = "release/examples" if "--example" in arguments else "release"
    return str(TARGET / folder / name)


def tailmeter():
    return built("tailmeter", "TAILMETER", "--bin", "tailmeter")


def generated(size, seed=1):
    """A generated log in the cache and the truth about it; written when it is not there yet."""
    log = CACHE / f"haproxy-{size}-{seed}.log"
    truth = log.with_suffix(".truth.json")
    generator = max((HERE / name).stat().st_mtime for name in ("generate.rs", "request.rs", "traffic.rs"))
    # The truth is written last: a log without one was interrupted.
    if not truth.exists() or truth.stat().st_mtime < generator:
        CACHE.mkdir(parents=True, exist_ok=True)
        generate = built("generate", "GENERATE", "--example", "generate")
        command = [generate, "--bytes", size, "--seed", str(seed), "--out", log, "--truth", truth]
        if subprocess.run(command).returncode:
            fail("generating the log failed")
    return log, json.loads(truth.read_text())


def head(log, size):
    """The whole lines among the first `size` bytes of a log, as a file in the cache."""
    with open(log, "rb") as source:
        data = source.read(size)
    path = CACHE / f"head-{size}-{log.name}"
    CACHE.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[: data.rfind(b"\n") + 1])
    return path


def machine():
    """One line about the machine and the commit, so that a figure can be placed."""
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        os.uname().machine,
    )
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}, commit {commit}", commit


def exposition_sums(text, metric, label=None):
    """The samples of one metric in the Prometheus text format, summed by one label."""
    sums = {}
    sample = re.compile(r"^" + metric + r"(?:\{(.*)\})? (\S+)$", re.M)
    wanted = re.compile(r'(?:^|,)' + (label or "") + r'="([^"]*)"')
    for labels, value in sample.findall(text):
        found = wanted.search(labels) if label else None
        key = found.group(1) if found else ""
        sums[key] = sums.get(key, 0) + float(value)
    return {key: int(value) for key, value in sums.items()}
