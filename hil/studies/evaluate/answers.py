"""Answers in a file, as they come.

The file is JSON lines: a head that names what answered, then an answer a line. A line is written
whole or not at all, so that a run that is interrupted has lost nothing and can be resumed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.run.evaluation.answer import Answer

SCHEMA = 1


class Store:
    """The answers of a run, on disk as they come.

    Attributes:
        answers: by example's name.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, resume: bool) -> None:
        """Begin a file, or go on with one.

        Args:
            path: of the file.
            head: what answers; a file is resumed only where its own is the same.
            resume: whether to keep the answers that are there.

        Raises:
            UsageError: the file that is there was made by something else, or is damaged.
        """
        self.path = path
        self.answers: dict[str, Answer] = {}
        head = {"schema": SCHEMA} | dict(head)
        lines = path.read_bytes().splitlines(keepends=True) if resume and path.is_file() else []
        if lines:
            _check_head(path, lines[0], head)
            # What was being written when a run ended is not a line yet.
            whole = [line for line in lines if line.endswith(b"\n")]
            for number, line in enumerate(whole[1:], 2):
                self._keep(_parse(path, number, line))
            path.write_bytes(b"".join(whole))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(head) + "\n", encoding="utf-8")

    def _keep(self, answer: Answer) -> None:
        if not answer.error:
            self.answers[answer.example] = answer

    @contextmanager
    def open(self) -> Iterator[Callable[[Answer], None]]:
        """Take further answers while the block runs."""
        with self.path.open("a", encoding="utf-8") as file:

            def write(answer: Answer) -> None:
                file.write(json.dumps(asdict(answer)) + "\n")
                file.flush()
                self.answers[answer.example] = answer

            yield write


def _check_head(path: Path, line: bytes, head: Mapping[str, Any]) -> None:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise UsageError(
            f"{path} holds no answers: {error}", hint="run without --resume"
        ) from error
    unlike = [key for key in head if not isinstance(found, dict) or found.get(key) != head[key]]
    if unlike:
        raise UsageError(
            f"{path} was made with another {' and '.join(unlike)}",
            hint="run without --resume, or with another --out",
        )


def _parse(path: Path, number: int, line: bytes) -> Answer:
    try:
        return Answer.from_json(json.loads(line))
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise UsageError(f"{path}:{number} is no answer: {error}") from error
