"""What runs on a board have shown: from the rows that they left, beside those of the model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hil.config import board as boards
from hil.errors import Verdict
from hil.results.rows import Row
from hil.studies.boards.finding import Finding

_SILICON, _MODELLED = "silicon", "modelled"
_LAYER = "cycles.layer."
_APART = 0.01
"""Of a layer: the model's published error on programs that it was not fitted to is larger."""


@dataclass(frozen=True)
class Layer:
    """One layer of one image, as silicon and as the model count it.

    Attributes:
        silicon, modelled: cycles.
    """

    scenario: str
    name: str
    silicon: float
    modelled: float

    @property
    def difference(self) -> float:
        """Cycles of silicon less the model's."""
        return self.silicon - self.modelled

    @property
    def part(self) -> float:
        """The difference as a part of the model's."""
        return self.difference / self.modelled


def of(rows: Sequence[Row], uid: str) -> Iterator[Finding]:
    """Yield what rows of silicon with this unique id say; nothing where there are none.

    Args:
        rows: of any runs.
        uid: the chip's unique id, in hexadecimal.
    """
    own = [row for row in rows if _is_silicon(row) and row.context.board_uid == uid and uid]
    ran = {(row.context.run, row.context.scenario) for row in own if row.metric.name == "cycles"}
    if not ran:
        return
    yield Finding("runs", True, f"{len(ran):,} scenarios came to a result", len(ran))
    resends = sum(_values(own, "link.resends"))
    yield Finding("resends", resends == 0, f"{resends:,.0f} frames were sent again", resends)
    flashing = max(_values(own, "time.flash"), default=0.0)
    yield Finding("flashing", True, f"{flashing:.1f} s at most", flashing, None, "s")
    yield from _in_sdram(own)
    found = layers(rows, uid)
    if found:
        worst = max(found, key=lambda one: abs(one.part))
        detail = (
            f"{len(found):,} layers, at most {worst.part:+.2%} from the model: {worst.name} of "
            f"{worst.scenario}"
        )
        yield Finding("layers", abs(worst.part) <= _APART, detail, worst.silicon, worst.modelled)


def _in_sdram(own: Sequence[Row]) -> Iterator[Finding]:
    """Yield what runs have shown whose activations exceed the chip's own RAM; nothing of none."""
    fits = {one.name: one.sram.bytes for one in boards.known() if one.external is not None}
    there = {
        (row.context.run, row.context.scenario)
        for row in own
        if row.metric.name == "ram.paper"
        and row.metric.value > fits.get(row.context.board, row.metric.value)
    }
    if there:
        outputs = [row for row in own if (row.context.run, row.context.scenario) in there]
        wrong = sum(_values(outputs, "output.mismatches"))
        detail = f"{len(there):,} scenarios with activations there: {wrong:,.0f} wrong outputs"
        yield Finding("sdram", wrong == 0, detail, wrong)


def layers(rows: Iterable[Row], uid: str) -> list[Layer]:
    """Return the layers that both silicon and the model have counted of one image.

    Args:
        rows: of any runs, oldest first; of a layer counted twice the later counts.
        uid: of the chip.
    """
    counts: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        context, name = row.context, row.metric.name
        here = context.timing == _MODELLED or (_is_silicon(row) and context.board_uid == uid)
        if here and context.build_id and name.startswith(_LAYER):
            counts.setdefault((context.build_id, context.scenario, name), {})[context.timing] = row
    return [
        Layer(
            scenario,
            name.removeprefix(_LAYER),
            both[_SILICON].metric.value,
            both[_MODELLED].metric.value,
        )
        for (_, scenario, name), both in counts.items()
        if both.keys() >= {_SILICON, _MODELLED}
    ]


def _is_silicon(row: Row) -> bool:
    return row.context.timing == _SILICON and row.metric.verdict is not Verdict.FAULT


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [row.metric.value for row in rows if row.metric.name == name]
