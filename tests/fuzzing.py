"""Damaged files for every reader: whatever is in a file, a person is told what is wrong with it.

    python tests/fuzzing.py scenario --seconds 120      one reader, as long as one likes
    python tests/fuzzing.py all --seconds 600           each of them so long

prints how many mutants were read, refused and let an exception out, each with the place of it.
Seconds are those of the process's own time: a busy machine takes none of them.
"""

import argparse
import math
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hil.errors import HilError

_NUMBERS = (
    *(b"0", b"-1", b"1e300", b"-1e-320", b"nan", b"inf", b"9223372036854775808", b"1" * 5000),
    *(b"true", b'""', b"[]", b"{}", b"[[[[", b"1979-05-27T07:32:00Z", b"0x1p4", b"1_000"),
)
_TEXTS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"'''", b"\\u0000", b"\\ud800"),
    *(
        "\u00b2".encode(),
        "\u0661".encode(),
        "\u2028".encode(),
        "\U0001d7d9".encode(),
        b"\x1b[2J",
        b"../../",
        b"/dev/",
    ),
)
_WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0")
_MOST_BYTES = 4 << 20
_VALUES_ALONE = 0.5  # so that enough of them are still TOML, JSON or XML
_DEADLINE_S = 20.0  # of the process's own time: a busy machine takes none of it


@dataclass(frozen=True)
class Reader:
    """A reader of files of users, and files to damage.

    Attributes:
        read: called with a mutant's path; it may raise a HilError and nothing else.
        seeds: makes files that it reads, in the folder that it is given.
        cost: how many mutants of other readers take as long as one of this.
        refuses: whether it raises for damaged files, rather than telling that there is nothing.
    """

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[Path], list[Path]]
    cost: int = 1
    refuses: bool = True


@dataclass
class Outcome:
    """What came of a reader's mutants.

    Attributes:
        escaped: what was raised beside HilError, with its place; how often.
        example: a mutant of each.
    """

    read: int = 0
    refused: int = 0
    escaped: Counter[str] = field(default_factory=Counter)
    example: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    slowest_s: float = 0.0

    @property
    def count(self) -> int:
        return self.read + self.refused + sum(self.escaped.values())


def mutant(random: Random, seeds: Sequence[bytes], *, is_text: bool) -> bytes:
    """Damage a file in one to six places; of every second text a value or two alone."""
    data = bytearray(random.choice(seeds))
    if is_text and random.random() < _VALUES_ALONE:
        for _ in range(1 + random.randrange(2)):
            _damage_value(random, data)
        return bytes(data[:_MOST_BYTES])
    for _ in range(1 + min(random.randrange(6), random.randrange(6))):
        _damage(random, data, seeds, is_text=is_text)
    return bytes(data[:_MOST_BYTES])


def _damage(random: Random, data: bytearray, seeds: Sequence[bytes], *, is_text: bool) -> None:
    at = random.randrange(len(data) + 1)
    few = random.randrange(1, 40)
    match random.randrange(12 if is_text else 9):
        case 0:
            data[at : at + 1] = bytes((random.randrange(256),))
        case 1 if at < len(data):
            data[at] ^= 1 << random.randrange(8)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + few]
        case 4:
            data[at:at] = data[at : at + few] * random.choice((1, 1, 2, 500))
        case 5:
            data[at : at + 4] = random.choice(_WORDS)
        case 6:
            other = random.choice(seeds)
            start = random.randrange(len(other) + 1)
            data[at : at + few] = other[start : start + few]
        case 7:
            data[at:at] = random.choice(_TEXTS)
        case 8:
            data[at : at + few] = bytes(few)
        case _:
            _damage_value(random, data)


def _damage_value(random: Random, data: bytearray) -> None:
    """Put something else in the place of one value or word of a text."""
    values = list(re.finditer(rb"-?[\d.]+|\"[^\"\n]*\"|\w+", data))
    if values:
        start, end = random.choice(values).span()
        data[start:end] = random.choice((*_NUMBERS, *_TEXTS, bytes(data[start:end]) * 2))


def fuzz(
    reader: Reader, folder: Path, *, seed: int, count: int, seconds: float = math.inf
) -> Outcome:
    """Hand a reader mutants until there were enough, or time is up.

    Args:
        reader: whose.
        folder: an empty one, for its files.
        seed: of the mutants.
        count: most mutants.
        seconds: of the process's own time, after which no more is begun.
    """
    random, outcome = Random(seed), Outcome()  # noqa: S311
    (folder / "seeds").mkdir()
    paths = reader.seeds(folder / "seeds")
    by_suffix: dict[str, list[bytes]] = {}
    for path in paths:
        reader.read(path)  # undamaged, each is read
        by_suffix.setdefault(path.suffix, []).append(path.read_bytes())
    end = time.process_time() + seconds
    while outcome.count < count and time.process_time() < end:
        suffix, seeds = random.choice(list(by_suffix.items()))
        is_text = all(b"\0" not in one for one in seeds)
        damaged = mutant(random, seeds, is_text=is_text)
        path = folder / f"mutant{suffix}"
        put(path, damaged)
        _try(reader, path, damaged, outcome)
    return outcome


def put(path: Path, content: bytes) -> None:
    """Write a file anew: one that is cut short first is written to the disk before, 1 ms each."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _try(reader: Reader, path: Path, damaged: bytes, outcome: Outcome) -> None:
    began = time.process_time()
    try:
        reader.read(path)
        outcome.read += 1
    except HilError:
        outcome.refused += 1
    except (Exception, SystemExit) as error:
        _note(outcome, error, path, damaged)
    took = time.process_time() - began
    outcome.slowest_s = max(outcome.slowest_s, took)
    if took > _DEADLINE_S:
        outcome.escaped[f"took more than {_DEADLINE_S:g} s"] += 1


def _note(outcome: Outcome, error: BaseException, path: Path, damaged: bytes) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/hil/" in frame.filename] or list(frames)
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    what = f"{type(error).__name__} at {place}: {str(error)[:100]}"
    outcome.escaped[what] += 1
    outcome.example.setdefault(what, (path.suffix, damaged))


def _main() -> int:
    from fuzz_readers import READERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for a mutant of each kind that escaped")
    options = parser.parse_args()
    chosen = list(READERS) if options.reader == "all" else [options.reader]
    escaped = 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            outcome = fuzz(
                READERS[name],
                Path(folder),
                seed=options.seed,
                count=sys.maxsize,
                seconds=options.seconds,
            )
        print(
            f"{name}: {outcome.count:,} mutants, {outcome.read:,} read, "
            f"{outcome.refused:,} refused, {sum(outcome.escaped.values())} let an exception out; "
            f"the slowest took {outcome.slowest_s:.2f} s",
            flush=True,
        )
        for what, count in outcome.escaped.most_common():
            print(f"    {count} times {what}")
        for number, (suffix, damaged) in enumerate(outcome.example.values()):
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{name}-{number}{suffix}").write_bytes(damaged)
        escaped += sum(outcome.escaped.values())
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(_main())
