#!/usr/bin/env python3
"""What postfix_exporter shows for a log, as an exposition on standard output.

Usage: record_postfix_exporter.py PROGRAM LOG [OPTION…]

PROGRAM is the original; tests/compat/SOURCES.md says which one. It begins where a file ends, so it is started on an empty one, to which the
lines are appended, with one more whose sample tells that all of them are read.
"""

import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

END = 'postfix_unsupported_log_entries_total{level="",service="the-end"} 1\n'
# Of the log: not those of the process, of the queue, and of whether they could be read.
IS_OF_LOG = re.compile(r"^(# (HELP|TYPE) )?(postfix_(?!exporter_|up\b|showq_)|opendkim_)")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scrape(port, until):
    """The first exposition that holds `until`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
                shown = response.read().decode()
            if until in shown:
                return shown
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"no {until!r} in time")


def main():
    program, log, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        followed = pathlib.Path(folder, "mail.log")
        followed.touch()
        port = free_port()
        options += [f"--web.listen-address=127.0.0.1:{port}", f"--postfix.logfile_path={followed}"]
        options.append(f"--postfix.showq_path={folder}/showq")
        running = subprocess.Popen([program, *options], stderr=subprocess.DEVNULL)
        try:
            scrape(port, "postfix_up{")
            with open(followed, "ab") as out:
                out.write(pathlib.Path(log).read_bytes())
                out.write(b"Nov 21 00:00:00 mx1 postfix/the-end[1]: read\n")
            shown = scrape(port, END)
        finally:
            running.terminate()
            running.wait()
    lines = shown.splitlines(keepends=True)
    sys.stdout.writelines(line for line in lines if IS_OF_LOG.match(line) and line != END)


main()
