"""Runs a program for as long as whoever started this does: `python keeper.py COMMAND...`.

What comes on standard input goes to the program. Its end means that the harness is done or was
killed, and then the program ends with all that it started. `{scratch}` in an argument is a folder
of the program's own, which is removed at the end: its TMPDIR, and its home of settings, so that it
neither reads nor writes the user's.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

_PIECE_BYTES = 65536


def main(command: Sequence[str]) -> int:
    """Run a command to its end, or to that of standard input; return its exit status."""
    with tempfile.TemporaryDirectory(prefix="hil-renode-", ignore_cleanup_errors=True) as scratch:
        lock = os.open(Path(scratch, ".lock"), os.O_RDWR | os.O_CREAT)  # see hil.files
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = f"[general]\nhistory-path = {scratch}/history\n"
        Path(scratch, "config").write_text(settings, encoding="utf-8")
        child = subprocess.Popen(
            [argument.replace("{scratch}", scratch) for argument in command],
            stdin=subprocess.PIPE,
            env={**os.environ, "TMPDIR": scratch, "XDG_CONFIG_HOME": scratch},
            start_new_session=True,
        )
        threading.Thread(target=_forward, args=(child,), daemon=True).start()
        status = child.wait()
        _end(child)  # what it started may outlive it
        return status


def _forward(child: "subprocess.Popen[bytes]") -> None:
    """Copy standard input to the program, and end the program with it."""
    with contextlib.suppress(OSError):
        while piece := os.read(sys.stdin.fileno(), _PIECE_BYTES):
            if child.stdin is not None:
                child.stdin.write(piece)
                child.stdin.flush()
    _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.exit(ended if ended >= 0 else 128 - ended)  # by a signal: the number that shells give it
