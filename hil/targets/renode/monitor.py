"""Renode's command line, the monitor, in a process that ends when the harness does."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hil.errors import MeasurementError, ProbeError
from hil.targets.renode import keeper

START_DEADLINE_S = 60.0
COMMAND_DEADLINE_S = 30.0
_END_DEADLINE_S = 10.0
_FAREWELL_S = 2.0  # from a broken line to the process's end
_BANNER = "Renode, version "
_ARGUMENTS = (
    "--disable-xwt",
    "--console",
    "--plain",
    "--hide-log",
    "--config",
    "{scratch}/config",
)
_HEAD_LINES, _TAIL_LINES = 4, 4  # of what it said last; an exception is its head
_HINT = "try it by hand: renode --console, then the same command"


class Monitor:
    """A running Renode.

    Args:
        command: starts Renode; arguments follow.

    Attributes:
        banner: its first words, with its version; empty before `start`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.banner = ""
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._head: list[str] = []  # of what it said since the last command that it ended
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._marks = 0

    def start(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Start Renode and wait for its prompt. Raises ProbeError."""
        process = subprocess.Popen(
            [sys.executable, "-I", str(Path(keeper.__file__)), *self._command, *_ARGUMENTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt in the terminal is for the harness to handle
        )
        self._process = process
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()
        until = time.monotonic() + deadline_s
        while not self.banner:
            line = self._next_line(until, "start-up", "did not start")
            self._remember(line)
            if line.startswith(_BANNER):
                self.banner = line
        self.ask("", stage="prompt", deadline_s=deadline_s)

    def ask(self, command: str, *, stage: str, deadline_s: float = COMMAND_DEADLINE_S) -> list[str]:
        """Give a command and return the lines that it answers.

        Args:
            command: of Renode's monitor, one line.
            stage: that an error names.
            deadline_s: seconds until Renode is given up.

        Raises:
            ProbeError: Renode has ended, or the prompt does not return.
        """
        self._marks += 1
        mark = f"hil {self._marks}"
        self._write(f'{command}\necho "{mark}"\n')
        until = time.monotonic() + deadline_s
        answer: list[str] = []
        while True:
            line = self._next_line(until, stage, f"did not come to the end of {command!r}")
            if line == mark:
                self._head, self._tail = [], deque(maxlen=_TAIL_LINES)
                return answer
            if not _is_echo(line, (command, f'echo "{mark}"')):
                answer.append(line)
                self._remember(line)

    def tell(
        self,
        command: str,
        *,
        stage: str,
        deadline_s: float = COMMAND_DEADLINE_S,
        error: type[MeasurementError] = ProbeError,
    ) -> None:
        """Give a command that has nothing to say unless it fails.

        Args:
            command: of Renode's monitor, one line.
            stage: that an error names.
            deadline_s: seconds until Renode is given up.
            error: what is raised if it answers.

        Raises:
            ProbeError: as `ask`. `error`: Renode refuses the command.
        """
        answer = self.ask(command, stage=stage, deadline_s=deadline_s)
        if answer:
            raise error(f"Renode refuses {command!r}: {' '.join(answer)}", hint=_HINT, stage=stage)

    def describe_end(self, within_s: float = _FAREWELL_S) -> str | None:
        """Say how Renode ended and its last words; None if it still runs after a while."""
        if self._process is None or self._reader is None:
            return None
        self._reader.join(within_s)
        if self._reader.is_alive():
            return None
        while (line := self._lines.get()) is not None:
            self._remember(line)
        self._lines.put(None)
        status = self._process.wait()
        return f"Renode ended with status {status}; it last said: {self._words()}"

    def _remember(self, line: str) -> None:
        if len(self._head) < _HEAD_LINES:
            self._head.append(line)
        else:
            self._tail.append(line)

    def _words(self) -> str:
        """Return the first and the last lines that it said since its last command."""
        return "; ".join([*self._head, *self._tail]) or "nothing"

    def close(self) -> None:
        """End Renode and all that it started; harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # of commands to a Renode that is gone
                process.stdin.close()
        try:
            process.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(_END_DEADLINE_S)
        if process.stdout is not None:
            process.stdout.close()

    def _write(self, text: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise ProbeError("Renode does not run", hint="open the target before using it")
        with contextlib.suppress(OSError):  # the end of its output says more
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def _next_line(self, until: float, stage: str, complaint: str) -> str:
        try:
            line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise ProbeError(
                f"Renode {complaint} in time; it last said: {self._words()}",
                hint=_HINT,
                stage=stage,
            ) from None
        if line is None:
            self._lines.put(None)  # for whoever looks next
            what = self.describe_end() or "Renode says no more"
            raise ProbeError(what, hint=_HINT, stage=stage)
        return line

    def _read(self, output: IO[bytes]) -> None:
        """Split what Renode says into lines, until it ends."""
        pending = b""
        while piece := os.read(output.fileno(), 65536):
            *complete, pending = (pending + piece).split(b"\n")
            for line in complete:
                self._take(line)
        self._take(pending)
        self._lines.put(None)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        if text:
            self._lines.put(text)


def _is_echo(line: str, commands: Sequence[str]) -> bool:
    """Whether a line is a prompt, with or without the command that was typed at it."""
    prompt, bracket, typed = line.partition(")")
    if not (prompt.startswith("(") and bracket):
        typed = line
    typed = typed.strip()
    return not typed or typed in commands


def quoted(path: Path) -> str:
    """Return a path as the monitor's commands take it."""
    return "@" + str(path.resolve()).replace("\\", "\\\\").replace(" ", "\\ ")
