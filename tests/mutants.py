"""Mutants of what a verdict rests on: the image, the figures that the firmware says, the reference.

    python tests/mutants.py             300 of the image, 60 of figures, 60 of what is expected
    python tests/mutants.py --tenth     a tenth of them, as the tests do
    python tests/mutants.py --scenario face_m4 --silence 10 --image 20 --figures 10 --expected 10

A mutant passes falsely where every verdict is `pass` and yet an output or a figure is not what the
board did: outputs against the reference as it was built, cycles against the core's time between the
last byte that the board sends before the inference and the first behind it.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import planted_firmware
from planted_firmware import Place, kept_board, patched
from test_end_to_end import open_session

from hil.compiler import reference
from hil.errors import MeasurementError, Verdict
from hil.link import conversation, messages
from hil.link.frames import Decoder, Frame
from hil.link.messages import Message
from hil.run import measurement
from hil.run.measurement import Prepared
from hil.run.session import Session
from hil.targets.emulator.core.sending import Sending
from hil.targets.emulator.line import Line
from hil.targets.emulator.target import EmulatedTarget

_SILENCE_S = 2.0
_DEADLINE_S = 60.0  # of a mutant, its silences and the questions to its core in it
_BESIDE = 0.01  # of the cycles: what a mutant may spend beside what it counts
_FIGURES = {
    messages.Hello: ("clock_hz", "input_bytes", "output_bytes", "layer_count", "build_id"),
    messages.Done: ("cycles",),
    messages.Layer: ("macs", "cycles", "name"),
    messages.Memory: (*("arena_bytes", "static_bytes", "stack_bytes", "stack_high_water_bytes"),),
}


@dataclass(frozen=True)
class Mutant:
    """Something changed, in words; `prepared` and `parse` are what is measured with."""

    what: str
    prepared: Prepared
    parse: Callable[[int, bytes], Message] = messages.parse


@dataclass
class Outcome:
    """What became of mutants.

    Attributes:
        verdicts: how many of each; "equal" for one that changes nothing that can be observed.
        false_passes: in words. slowest_s: of the host, for one.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    false_passes: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.verdicts.most_common())
        return f"{told}; {len(self.false_passes)} passed falsely; slowest {self.slowest_s:.1f} s"


class Bench:
    """A session whose mutants are measured on a board that stays powered.

    Args:
        session: of one scenario.
        board: that it runs on.
        silence_s: after which a mutant is given up.
    """

    def __init__(
        self, session: Session, board: type[EmulatedTarget], silence_s: float = _SILENCE_S
    ) -> None:
        self.prepared = session.prepare(session.scenarios[0])
        self._patient = replace(session, target=board, store=None)
        self._quick = replace(self._patient, timeout_s=silence_s)
        self.places = planted_firmware.executed(self._patient, self.prepared)
        rows, result, self._gap = self._measured(self._patient, self.prepared)
        assert result is not None, rows
        self._outputs, self._cycles = result.outputs.tobytes(), result.cycles
        assert self._gap >= self._cycles, "the line does not tell how long a run takes"
        self._observed = planted_firmware.observed(result)

    def try_all(self, mutants: Iterator[Mutant], count: int) -> Outcome:
        """Measure mutants, and say of each which verdict it came to."""
        outcome = Outcome()
        for _ in range(count):
            self._try(next(mutants), outcome, self._quick)
        return outcome

    def try_one(self, mutant: Mutant) -> Outcome:
        """Measure a mutant that is known to answer, however busy the machine is."""
        outcome = Outcome()
        self._try(mutant, outcome, self._patient)
        return outcome

    def _try(self, mutant: Mutant, outcome: Outcome, session: Session) -> None:
        began = time.monotonic()
        with _parsing(mutant.parse):
            verdicts, result, gap = self._measured(session, mutant.prepared)
        outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
        failed = [verdict for verdict in verdicts if verdict is not Verdict.PASS]
        if failed or result is None:
            outcome.verdicts[str(failed[0])] += 1
            return
        wrong = self._wrong(result, gap)
        if wrong:
            outcome.verdicts["false pass"] += 1
            outcome.false_passes.append(f"{mutant.what}: {wrong}")
        else:
            same = planted_firmware.observed(result) == self._observed
            outcome.verdicts["equal" if same else "pass, true figures"] += 1

    def _wrong(self, result: measurement.Measurement, gap: int) -> str:
        """Say what a run that passes has wrong, if anything."""
        if result.outputs.tobytes() != self._outputs:
            return "other outputs"
        known = result.cycles - self._cycles
        if abs(gap - self._gap - known) > _BESIDE * self._cycles:
            return f"{result.cycles:,} cycles, by the line {gap - self._gap + self._cycles:,}"
        footprint, built = result.prepared.image.footprint, self.prepared.image.footprint
        if footprint != built:
            return f"{footprint}, built {built}"
        if result.prepared.program.macs != self.prepared.program.macs:
            return f"{result.prepared.program.macs:,} MACs"
        return ""

    def _measured(
        self, session: Session, prepared: Prepared
    ) -> tuple[list[Verdict], measurement.Measurement | None, int]:
        """Return the verdicts, the measurement, and the cycles of its run by the line."""
        run = replace(session, rows=[])
        with _sent(lambda: _clock(run, prepared)) as moments:
            try:
                with run.flashed(prepared) as device:
                    result: measurement.Measurement | None = run.measure(prepared, device)
            except MeasurementError:
                result = None
        gap = moments[1] - moments[0] if len(moments) == 2 else 0
        return [row.metric.verdict for row in run.rows], result, gap


def _clock(run: Session, prepared: Prepared) -> int:
    target = run._targets.get(prepared.scenario.name)
    if not isinstance(target, EmulatedTarget):
        return 0
    return target.emulated.chip.clock.now()


@contextmanager
def _sent(now: Callable[[], int]) -> Iterator[list[int]]:
    """Note the core's cycle when the answer that a run has started has gone, and its end begins.

    Each byte passes Python meanwhile: those that C takes are handed over later, in one piece.
    """
    put, opened = Line.put, Sending.open
    moments: list[int] = []
    decoder, began = Decoder(), 0

    def noted(self: Line, data: bytes) -> None:
        nonlocal began
        if not decoder.is_within_frame:
            began = now()
        for frame in decoder.feed(data):
            if isinstance(frame, Frame) and frame.kind == messages.Started.kind:
                moments[:] = [now()]
            elif (
                isinstance(frame, Frame)
                and frame.kind == messages.Done.kind
                and len(moments) == 1  # an answer that is asked for again is no second end
            ):
                moments.append(began)
        put(self, data)

    Line.put = noted  # type: ignore[method-assign]
    Sending.open = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield moments
    finally:
        Line.put, Sending.open = put, opened  # type: ignore[method-assign]


@contextmanager
def _parsing(parse: Callable[[int, bytes], Message]) -> Iterator[None]:
    conversation.parse = parse  # type: ignore[assignment, attr-defined]
    try:
        yield
    finally:
        conversation.parse = messages.parse  # type: ignore[attr-defined]


# what is changed


def of_image(bench: Bench, seed: int) -> Iterator[Mutant]:
    """Yield images with an executed instruction changed, or a byte of a table."""
    draw = random.Random(seed)  # noqa: S311
    code = planted_firmware.mutants(bench.prepared, bench.places, seed)
    tables = [one for one in bench.prepared.image.sections if one.name in {".weights", ".rodata"}]
    while True:
        if draw.random() < 0.6:
            yield Mutant("an instruction", next(code))
            continue
        table = draw.choices(tables, [one.bytes for one in tables])[0]
        place = Place(table.load_address + draw.randrange(table.bytes), 1)
        old = planted_firmware._code(bench.prepared.image.segments, place)
        new = bytes((old[0] ^ 1 << draw.randrange(8),))
        image = patched(bench.prepared.image, place, new)
        what = f"byte {place.address:#010x} of {table.name}"
        yield Mutant(what, replace(bench.prepared, image=image))


def of_figures(bench: Bench, seed: int) -> Iterator[Mutant]:
    """Yield firmware that says one figure wrong, of its hello, its run, a layer or its memory."""
    draw = random.Random(seed)  # noqa: S311
    choices = [(kind, name) for kind, names in _FIGURES.items() for name in names]
    layers = len(bench.prepared.compiled.plan.steps)
    while True:
        kind, name = draw.choice(choices)
        change = draw.choice(_CHANGES)
        at = draw.randrange(layers) if kind is messages.Layer else 0
        yield Mutant(f"{kind.__name__}.{name}", bench.prepared, _lie(kind, name, change, at))


def _lie(
    kind: type[Message], name: str, change: Callable[[int], int], at: int
) -> Callable[[int, bytes], Message]:
    """Return a reader of messages that has one field of one message wrong."""
    seen = 0

    def parse(number: int, body: bytes) -> Message:
        nonlocal seen
        message = messages.parse(number, body)
        if not isinstance(message, kind):
            return message
        seen += 1
        if kind is messages.Layer and seen != at + 1:
            return message
        old = getattr(message, name)
        values = {one.name: getattr(message, one.name) for one in fields(message)}
        return kind(**{**values, name: _changed(old, change)})

    return parse


def _changed(old: object, change: Callable[[int], int]) -> object:
    if isinstance(old, bytes):
        return bytes((old[0] ^ 1, *old[1:]))
    if isinstance(old, str):
        return f"{old}x"
    assert isinstance(old, int)
    new = change(old) & 0xFFFF_FFFF
    return new if new != old else old + 1


_CHANGES: tuple[Callable[[int], int], ...] = (
    lambda old: old + 1,
    lambda old: old - 1,
    lambda old: old + 4,
    lambda old: old * 2,
    lambda old: old // 2,
    lambda old: old // 16,
    lambda _: 0,
    lambda _: 32,
    lambda old: old ^ 0x100,
)


def of_expected(bench: Bench, seed: int) -> Iterator[Mutant]:
    """Yield a reference, a plan, a program or facts of the image that changed after the build."""
    draw = random.Random(seed)  # noqa: S311
    while True:
        change = draw.choice((_reference, _input, _steps, _program, _footprint, _identity))
        yield Mutant(change.__name__, change(bench.prepared, draw))


def _reference(prepared: Prepared, draw: random.Random) -> Prepared:
    expected = prepared.expected.copy()
    expected[draw.randrange(expected.size)] ^= 1 << draw.randrange(7)
    return replace(prepared, expected=expected)


def _input(prepared: Prepared, draw: random.Random) -> Prepared:
    """Another image than the one that the board is sent has been the reference's."""
    sent = prepared.input.copy()
    sent.flat[draw.randrange(sent.size)] ^= 64
    return replace(prepared, expected=reference.run(prepared.program, sent))


def _steps(prepared: Prepared, draw: random.Random) -> Prepared:
    steps = list(prepared.schedule.layers)
    at = draw.randrange(len(steps))
    if draw.random() < 0.5 and len(steps) > 1:
        steps[at - 1], steps[at] = steps[at], steps[at - 1]
    else:
        steps[at] = replace(steps[at], name=f"{steps[at].name}x")
    return replace(prepared, schedule=replace(prepared.schedule, layers=tuple(steps)))


def _program(prepared: Prepared, draw: random.Random) -> Prepared:
    network = prepared.network
    changed = replace(network, macs=network.macs + draw.choice((1, -1, 1000)))
    return replace(prepared, network=changed)


def _footprint(prepared: Prepared, draw: random.Random) -> Prepared:
    footprint = prepared.image.footprint
    name = draw.choice([one.name for one in fields(footprint)])
    wrong = replace(footprint, **{name: getattr(footprint, name) + draw.choice((4, -4, 4096))})
    return replace(prepared, image=replace(prepared.image, footprint=wrong))


def _identity(prepared: Prepared, draw: random.Random) -> Prepared:
    build_id = bytearray(prepared.image.build_id)
    build_id[draw.randrange(len(build_id))] ^= 1 << draw.randrange(8)
    return replace(prepared, image=replace(prepared.image, build_id=bytes(build_id)))


KINDS: dict[str, tuple[Callable[[Bench, int], Iterator[Mutant]], int]] = {
    "image": (of_image, 300),
    "figures": (of_figures, 60),
    "expected": (of_expected, 60),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try mutants and print what became of them; 1 where one passed falsely or was too slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", help="a file; a small network without it")
    parser.add_argument("--tenth", action="store_true", help="a tenth of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--silence", type=float, default=_SILENCE_S, help="s, of a mutant's run")
    for name, (_, count) in KINDS.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args(arguments)
    bad = 0
    with tempfile.TemporaryDirectory() as folder, kept_board() as board:
        if options.scenario:
            session = open_session(Path(folder), scenario=options.scenario)
        else:
            session = planted_firmware.open_small(Path(folder))
        bench = Bench(session, board, options.silence)
        for name, (kind, _) in KINDS.items():
            count = getattr(options, name) // (10 if options.tenth else 1)
            outcome = bench.try_all(kind(bench, options.seed), count)
            print(f"{count} of {name}: {outcome}", flush=True)
            for text in outcome.false_passes:
                print(f"    {text}")
            bad += len(outcome.false_passes) + (outcome.slowest_s > _DEADLINE_S)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
