"""A small network's firmware on the emulated board, with changes planted in its C or its code."""

import random
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import ClassVar, Self

from test_end_to_end import open_session
from test_extending_run import block

from hil.build import firmware
from hil.build.image import Image, Segment
from hil.compiler import emit
from hil.errors import MeasurementError
from hil.results import baseline
from hil.results.figures import gather
from hil.results.rows import Row
from hil.run.against import Against
from hil.run.measurement import Measurement, Prepared
from hil.run.session import Session
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.emulator.timing.core import TimingCore

NOPS = {2: b"\x00\xbf", 4: b"\xaf\xf3\x00\x80"}
_SILENCE_S = 2.0  # a mutant that hangs is told after this
_MUTANTS_PER_ORIGINAL = 10


class KeptTarget(EmulatedTarget):
    """An emulated board that stays powered from run to run, so that it knows its code already.

    Only the flash that differs is filled anew, as a programmer's socket does it. A run that ends in
    an error takes the board along: the next has a fresh one.
    """

    kept: ClassVar["KeptTarget | None"] = None
    filled: tuple[Segment, ...] = ()

    def __enter__(self) -> Self:
        kept = KeptTarget.kept
        if kept is None:
            KeptTarget.kept = kept = super().__enter__()
        kept.progress = self.progress
        self.__dict__ = kept.__dict__
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            KeptTarget.kept = None
            super().__exit__(kind, error, trace)

    def flash(self, image: Image) -> None:
        chip = self.emulated.chip
        with chip.paused():
            for address, data in _unlike(self.filled, image.segments):
                chip.load(address, data)
                chip.code.forget(address, len(data))
        self.filled = image.segments


def _unlike(old: Sequence[Segment], new: Sequence[Segment]) -> Iterator[tuple[int, bytes]]:
    """Yield the words to fill; all of them where the images have other segments."""
    if [(one.address, one.end) for one in old] != [(one.address, one.end) for one in new]:
        yield from ((one.address, one.data) for one in new)
        return
    for before, after in zip(old, new, strict=True):
        for at in range(0, len(after.data), 4):
            if before.data[at : at + 4] != after.data[at : at + 4]:
                yield after.address + at, after.data[at : at + 4]


@contextmanager
def kept_board() -> Iterator[type[EmulatedTarget]]:
    """Lend a board that stays powered while the block runs."""
    try:
        yield KeptTarget
    finally:
        kept, KeptTarget.kept = KeptTarget.kept, None
        if kept is not None:
            kept.close()


def open_small(directory: Path) -> Session:
    """Open a session for the network of docs/extending.md, on 16 by 16 pixels."""
    (directory / "nets.py").write_text(block("nets.py"))
    scenario = directory / "thumbs.toml"
    scenario.write_text(
        block("thumbs.toml").replace(" = 32 ", " = 16 ").replace("= 32\n", "= 16\n")
    )
    return open_session(directory, scenario=str(scenario))


def changed(prepared: Prepared, old: str, new: str) -> Prepared:
    """Build the same model with a text of its generated C replaced."""
    with TemporaryDirectory() as scratch:
        emit.write(prepared.program, prepared.compiled.plan, Path(scratch))
        source = Path(scratch, "model.c")
        text = source.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        source.write_text(text.replace(old, new), encoding="utf-8")
        return replace(
            prepared, image=firmware.build(Path(scratch), prepared.board, prepared.toolchain)
        )


def measured(session: Session, prepared: Prepared) -> tuple[list[Row], Measurement | None]:
    """Measure in a run of its own; without a measurement where an error ended it."""
    run = replace(session, rows=[])
    try:
        with run.flashed(prepared) as device:
            return run.rows, run.measure(prepared, device)
    except MeasurementError:
        return run.rows, None


def held_to(file: Path, session: Session, *, strict: bool = True) -> Against:
    """Hold runs to a baseline, as `--hil-baseline=FILE` does."""
    options = Namespace(
        hil_baseline=str(file),
        hil_board=session.board.name,
        hil_target="emulator",
        hil_toolchain="zig",
        hil_stale="error" if strict else "warn",
        hil_history_dir=None,
        hil_csv=file.parent / "results.csv",
        hil_scenario=[],
        hil_input=None,
        hil_checkpoint=None,
        hil_calibration=None,
    )
    found = Against.from_options(options, session.scenarios, session.identity)
    assert found is not None
    return found


def take_in(file: Path, rows: Sequence[Row]) -> None:
    """Make a baseline of rows."""
    baseline.update(file, gather(rows), baseline.Reason("", "", "", "planted", {}), whole=True)


# Mutants: one executed instruction is another


@dataclass(frozen=True)
class Place:
    """An instruction that ran between the start and the end of an inference."""

    address: int
    bytes: int


def executed(session: Session, prepared: Prepared) -> list[Place]:
    """List the instructions in flash that run between start and end of an inference."""
    counts: list[dict[tuple[Place, ...], int]] = []
    run = replace(session, rows=[])
    with run.flashed(prepared) as device:
        emulated = run._targets[prepared.scenario.name].emulated  # type: ignore[attr-defined]
        device.load_input(prepared.input.tobytes())
        emulated.chip.dwt.on_read = lambda: counts.append(_runs(emulated.chip.clock))
        device.run(per_layer=True)
    first, last = counts[0], counts[-1]
    blocks = [places for places, runs in last.items() if runs > first.get(places, 0)]
    in_flash = range(session.board.flash.address, session.board.flash.address + (1 << 20))
    found = {place for places in blocks for place in places if place.address in in_flash}
    return sorted(found, key=lambda place: place.address)


def _runs(clock: TimingCore) -> dict[tuple[Place, ...], int]:
    found: dict[tuple[Place, ...], int] = {}
    for one in clock.profile():
        places = tuple(Place(i.address, i.size) for i in one.instructions)
        found[places] = found.get(places, 0) + one.runs
    return found


def mutants(prepared: Prepared, places: Sequence[Place], seed: int) -> Iterator[Prepared]:
    """Yield the image with one instruction replaced: by a NOP, or by itself with a bit flipped."""
    draw = random.Random(seed)  # noqa: S311
    while True:
        place = draw.choice(places)
        code = _code(prepared.image.segments, place)
        if draw.random() < 0.5:
            new = NOPS[place.bytes]
        else:
            flipped = int.from_bytes(code, "little") ^ (1 << draw.randrange(8 * place.bytes))
            new = flipped.to_bytes(place.bytes, "little")
        if new != code:
            yield replace(prepared, image=patched(prepared.image, place, new))


def _code(segments: Sequence[Segment], place: Place) -> bytes:
    for one in segments:
        if one.address <= place.address and place.address + place.bytes <= one.end:
            at = place.address - one.address
            return one.data[at : at + place.bytes]
    raise AssertionError(f"no segment holds {place.address:#010x}")


def find(image: Image, code: bytes) -> Place:
    """Return where code stands that an image holds once."""
    (found,) = [
        Place(one.address + one.data.index(code), len(code))
        for one in image.segments
        for _ in range(one.data.count(code))
    ]
    return found


def patched(image: Image, place: Place, new: bytes) -> Image:
    """Return the image with other code at a place, under the same build id."""

    def of(one: Segment) -> Segment:
        at = place.address - one.address
        if not 0 <= at < len(one.data):
            return one
        return replace(one, data=one.data[:at] + new + one.data[at + len(new) :])

    return replace(image, segments=tuple(of(one) for one in image.segments))


@dataclass
class Tally:
    """What became of runs: found, equal in all that can be observed, missed, falsely accused."""

    found: int = 0
    equal: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def note(self, number: int, against: Against, rows: Sequence[Row], *, differs: bool) -> None:
        """Hold a run to the baseline and count it."""
        comparison = against.compare(rows, rows[0].context.scenario)
        fails = against.fails(comparison)
        text = f"{number}: {against.explain(comparison)}"
        self.found += differs and fails
        self.equal += not differs and not fails
        self.missed += [text] if differs and not fails else []
        self.false += [text] if fails and not differs else []


def try_mutants(
    session: Session, prepared: Prepared, against: Against, count: int, seed: int
) -> Tally:
    """Measure mutants and hold each to the baseline; `observed` says which of them differ.

    The original runs again behind each, and is to be left in peace.
    """
    with kept_board() as board:
        patient = replace(session, target=board, store=None)
        quick = replace(patient, timeout_s=_SILENCE_S)
        _, original = measured(patient, prepared)
        assert original is not None
        source = mutants(prepared, executed(patient, prepared), seed)
        tally = Tally()
        for number in range(count):
            rows, result = measured(quick, next(source))
            differs = result is None or observed(result) != observed(original)
            tally.note(number, against, rows, differs=differs)
            if number % _MUTANTS_PER_ORIGINAL == 0:
                rows, _ = measured(patient, prepared)
                tally.note(number, against, rows, differs=False)
    return tally


def observed(result: Measurement) -> tuple[object, ...]:
    """All that a run shows of its firmware, without the harness's rows."""
    layers = tuple((layer.name, layer.cycles) for layer in result.layers)
    return result.cycles, layers, result.outputs.tobytes(), result.stack_bytes
