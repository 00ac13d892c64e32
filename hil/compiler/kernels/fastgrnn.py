"""The C of a FastGRNN cell: constants, descriptor, and which of its functions are in code."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hil.compiler.code.c import Constant, Fields, wrap_int32
from hil.compiler.kernels import fastgrnn_dense, fastgrnn_sparse
from hil.compiler.kernels.cycles import Cost, Part
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.program import Int16, Int32
from hil.limits import limit

_MOST_UNITS = limit("FASTGRNN_MOST_UNITS")
_MOST_WIDENED_INPUTS = limit("FASTGRNN_MOST_WIDENED_INPUTS")
_WIDENED = 12  # pixels at a time, in fastgrnn.c
_SAVED = 160  # bytes of registers, of the function that widens and of the code that it calls
_SWEEP = "(const int32_t *, const uint32_t *, const fastgrnn_sweep_t *, int16_t *)"
_ARGUMENTS = {
    "pixel_products": "(const int8_t *, int32_t, int32_t *)",
    "state_products": "(const int16_t *, int32_t, int32_t *)",
    "start": _SWEEP,
    "go_on": _SWEEP,
}


@dataclass(frozen=True, eq=False)
class CellCode:
    """A cell under its name in C.

    Attributes:
        zero_point: of its input; folded into the bias.
    """

    name: str
    cell: Cell
    zero_point: int

    def bias(self) -> Int32:
        """The bias less the zero point's product with W, modulo 2**32."""
        cell = self.cell
        of_zero = cell.w.astype(np.int64).sum(axis=1) * self.zero_point << cell.w_shift
        return wrap_int32(cell.bias.astype(np.int64) - of_zero)

    def constants(self) -> tuple[Constant, ...]:
        """Arrays for weights.c."""
        cell, name = self.cell, self.name
        gate = cell.gate.T.astype(np.int64) & 0xFFFF
        update = cell.update.T.astype(np.int64) & 0xFFFF
        words = (gate | update << 16).astype(np.uint32)
        return (
            Constant(f"{name}_w", cell.w.astype(np.int16), f"{name}: [units][inputs]"),
            Constant(f"{name}_u", cell.u.astype(np.int16), "[units][units]"),
            Constant(f"{name}_bias", self.bias(), "[units], the input's zero point folded in"),
            Constant(f"{name}_table", words, "[2**index_bits][units]: gate | update << 16"),
        )

    def fields(self) -> Fields:
        """The members of its `fastgrnn_t`."""
        cell, name = self.cell, self.name
        members: Fields = {
            "w": f"{name}_w",
            "u": f"{name}_u",
            "bias": f"{name}_bias",
            "table": f"{name}_table",
            "units": cell.units,
            "inputs": int(cell.w.shape[1]),
            "w_shift": cell.w_shift,
            "index_shift": cell.index_shift,
            "index_bits": cell.index_bits,
        }
        return members | {f: f"HIL_CORTEX_M4_CODE({name}_{f})" for f in self._in_code()}

    def prototypes(self) -> str:
        """Declarations of the functions in kernels.S."""
        return "".join(f"void {self.name}_{f}{_ARGUMENTS[f]};\n" for f in self._in_code())

    def assembly(self) -> str:
        """Assembly of the functions that `prototypes` declares."""
        return "".join(f().text for f in self._in_code().values())

    def stack_bytes(self, *, of_pixels: bool) -> int:
        """Count the bytes of the stack that its C takes beside that of other kernels.

        Args:
            of_pixels: whether its inputs are pixels, which may have to be widened.
        """
        inputs = int(self.cell.w.shape[1])
        code = self._in_code()
        next_states = 0 if "go_on" in code else 2 * _MOST_UNITS + 2 * _SAVED
        if not of_pixels or "state_products" not in code:
            return next_states
        wide = 2 * _WIDENED * _MOST_WIDENED_INPUTS
        weights = 2 * (inputs + 2) * self.cell.units  # in code, and the biases
        return max(next_states, wide + weights + _SAVED)

    def _in_code(self) -> dict[str, fastgrnn_sparse.Writer]:
        cell, name = replace(self.cell, bias=self.bias()), self.name
        writers: dict[str, fastgrnn_sparse.Writer] = {}
        if cell.w.shape[1] in {3, 4}:
            writers["pixel_products"] = lambda: fastgrnn_sparse.pixel_products(
                f"{name}_pixel_products", cell
            )
        elif fastgrnn_sparse.suits_states(cell):
            writers["state_products"] = lambda: fastgrnn_sparse.state_products(
                f"{name}_state_products", cell
            )
        elif fastgrnn_dense.suits_states(cell):
            writers["state_products"] = lambda: fastgrnn_dense.state_products(
                f"{name}_state_products", cell
            )
        if fastgrnn_sparse.suits_start(cell):
            writers["start"] = lambda: fastgrnn_sparse.start(f"{name}_start", cell)
        if fastgrnn_sparse.suits(cell):
            writers["go_on"] = lambda: fastgrnn_sparse.go_on(f"{name}_go_on", cell)
        elif fastgrnn_dense.suits(cell):
            writers["go_on"] = lambda: fastgrnn_dense.go_on(f"{name}_go_on", cell)
        return writers


def cell_bytes(cell: Cell) -> int:
    """Count the bytes of a cell's arrays in flash."""
    words = cell.w.size + cell.u.size + cell.gate.size + cell.update.size
    return 2 * words + 4 * cell.units


def pair_up(row: Cell, summary: Cell) -> tuple[Cell, Cell, list[int]]:
    """Renumber units such that non-zero weights stand in the same words.

    One SMLAD multiplies both weights of a word, so units that the same units read should be
    neighbours. RNN1's states go nowhere but into RNN2, whose inputs are renumbered alike; no
    value changes.

    Args:
        row: RNN1, which sweeps rows and columns.
        summary: RNN2, which reads RNN1's states as inputs.

    Returns:
        Both cells, and the unit that each of RNN2's units was before.
    """
    order = _neighbours(
        7 * _read_together(row.u) + _read_together(summary.w)  # a sweep's steps, its summary
    )
    summary = replace(summary, w=summary.w[:, order])
    of_summary = _neighbours(_read_together(summary.u))
    return _renumbered(row, order), _renumbered(summary, of_summary), of_summary


def _renumbered(cell: Cell, order: list[int]) -> Cell:
    return replace(
        cell,
        w=cell.w[order],
        u=cell.u[np.ix_(order, order)],
        bias=cell.bias[order],
        gate=cell.gate[order],
        update=cell.update[order],
    )


def _read_together(weights: Int16) -> npt.NDArray[np.int64]:
    """For every two inputs, by how many units both are read."""
    read = (weights != 0).astype(np.int64)
    together: npt.NDArray[np.int64] = read.T @ read
    return together


def _neighbours(gain: npt.NDArray[np.int64]) -> list[int]:
    """An order in which neighbours (0, 1), (2, 3) ... gain much: improved pair by pair."""
    return list(_improved(tuple(map(tuple, gain.tolist()))))


@lru_cache(maxsize=256)  # every schedule that is tried asks again
def _improved(gain: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    order = list(range(len(gain)))
    improved = len(order) % 2 == 0
    while improved:
        improved = False
        for a in range(0, len(order), 2):
            for b in range(a + 2, len(order), 2):
                for c in (b, b + 1):
                    before = gain[order[a]][order[a + 1]] + gain[order[b]][order[b + 1]]
                    order[a + 1], order[c] = order[c], order[a + 1]
                    if gain[order[a]][order[a + 1]] + gain[order[b]][order[b + 1]] > before:
                        improved = True
                    else:
                        order[a + 1], order[c] = order[c], order[a + 1]
    return tuple(order)


FASTGRNN = Part(
    "fastgrnn",
    code_bytes=3492,
    cycles={
        "fastgrnn.sparse_update": Cost(13.6, "an update of a unit, in straight-line code"),
        "fastgrnn.dense_update": Cost(28.0, "an update of a unit, in blocked code"),
        "fastgrnn.start": Cost(2.94, "a first update of a unit, from a zero state"),
        "fastgrnn.sparse_call": Cost(
            34.0,
            "a sequence and call: states in and out",
            fitted=0.0,
            kept="beside the kept fastgrnn.dense_call a fit gives less than nothing",
        ),
        "fastgrnn.dense_call": Cost(
            57.0,
            "a sequence and call: states in and out",
            fitted=268.0,
            kept="mnv2_rnnpool_w90 and face_qvga would get other schedules",
        ),
        "fastgrnn.apart": Cost(
            1.0,
            "more for an update whose products lie apart from the weights",
            fitted=0.0,
            kept="a fit gives less than nothing, and face_m4 would get another schedule",
        ),
        "fastgrnn.pixel": Cost(21.8, "a unit's product with a pixel"),
        "fastgrnn.sparse_product": Cost(3.27, "a unit's product with a state"),
        "fastgrnn.dense_product": Cost(14.7, "a unit's product with a state"),
    },
)
