"""A GRU along every column or row of a map of patches, `renet.c`."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure, wrap_int32
from hil.compiler.kernels import gru
from hil.compiler.kernels.cycles import Work, add
from hil.compiler.kernels.kernel import Choices, Kernel, Site, Step, StepCode, call, expect
from hil.compiler.kernels.product import (
    STREAM,
    product_assembly,
    product_fields,
    product_prototypes,
    product_work,
)
from hil.compiler.kernels.shapes import row_bytes
from hil.compiler.kernels.sweep import (
    lines_of,
    product_of,
    recurrent_words,
    state_units,
    sweep_scratch,
    sweep_slack,
)
from hil.compiler.operators.gru import GRU
from hil.compiler.operators.gru_sweep import GRUSweep
from hil.compiler.program import Int32, Operator

Int64 = npt.NDArray[np.int64]
_WIDENED = (0, 2, 1, 3)  # the order in which SXTB16 widens four bytes
_STEP = "(const int16_t *, const int32_t *, const int16_t *, const int16_t *, int16_t *, int32_t)"
_RECURRENT = "for each unit: bias_n, then for every two states words of r, z and n"
_MEMORY = {
    "weights": "weights",
    "recurrent": "recurrent",
    "table": "table",
    "window": "window",
    "products": "products",
    "states": "states",
    "waiting": "backward",
}  # members, and the working memory that each names


class Sweep(Kernel):
    """GRU sweeps, both directions."""

    name = "renet"
    parts = ("matmul", "gru")
    step_bytes = 236
    code_bytes = 2112

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a sweep."""
        sweep = rest[0]
        if not isinstance(sweep, GRUSweep):
            return None
        scratch, slack = sweep_scratch(sweep, choices), sweep_slack(sweep)
        return Step(sweep.name, self, (sweep,), sweep.inputs, (sweep.output,), scratch, slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count both directions' weights, int16 whether they are copied or not, and the table."""
        sweep = expect(step.operators[0], GRUSweep)
        words = product_of(sweep).stream_words + recurrent_words(sweep)
        return 2 * 4 * words + sweep.table.nbytes

    def work(self, site: Site) -> Work:
        """Count widening, the product with W, and the updates."""
        sweep = expect(site.step.operators[0], GRUSweep)
        lines, product, units = lines_of(sweep), product_of(sweep), sweep.forward.units
        patches = 2 * lines.sequences * lines.steps
        works: list[Work] = [
            {"widen.value": patches * product.depth},
            product_work(product, patches),
            {"gru.update": patches * units, "gru.state": patches * units**2},
        ]
        if site.choices.tables_in_flash:
            works.append({"flash.entry": site.wait_states * 3 * patches * units})
        if not site.copied:
            words = product.stream_words / 3 + recurrent_words(sweep) / 2
            works.append({"flash.word": site.wait_states * patches * words})
        return add(*works)

    def code(self, site: Site) -> StepCode:
        """Call `renet`."""
        sweep = expect(site.step.operators[0], GRUSweep)
        name = identifier(sweep.name)
        product = product_of(sweep)
        prototypes = ""
        if product.is_reachable:
            prototypes += product_prototypes(f"{name}_product", product)
        if gru.suits(sweep):
            prototypes += f"void {name}_step{_STEP};\n"
        x, y = site.map(sweep.inputs[0]), site.map(sweep.output)
        return StepCode(
            ("renet.h",),
            _comment(sweep),
            _constants(name, sweep),
            prototypes + structure("renet_t", name, _fields(name, sweep, site)),
            (call("renet", f"&{name}", x, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the product and the step."""
        sweep = expect(operators[0], GRUSweep)
        code, product = identifier(sweep.name), product_of(sweep)
        assembly = product_assembly(f"{code}_product", product) if product.is_reachable else ""
        return assembly + (gru.step(f"{code}_step", sweep).text if gru.suits(sweep) else "")


def _is_widened(sweep: GRUSweep) -> bool:
    """Tell whether patches are read by words of four, and so stand in the order of SXTB16."""
    source = sweep.inputs[0]
    return sweep.patch * source.shape[2] % 4 == 0 and row_bytes(source) % 4 == 0


def _fields(name: str, sweep: GRUSweep, site: Site) -> Fields:
    """Return the members of the `renet_t`."""
    product, lines, source = product_of(sweep), lines_of(sweep), sweep.inputs[0]
    described = product_fields(f"{name}_product", product, [], copied=False)
    if not product.is_reachable:
        described["code"] = "{NULL}"
    fields: Fields = {
        "product": nested(described, 2),
        "gru": nested(_gru_fields(name, sweep), 2),
        "forward": f"{{{name}_forward_w, {name}_forward_u}}",
        "backward": f"{{{name}_backward_w, {name}_backward_u}}",
        "sigmoid": f"{name}_sigmoid",
        "sequences": lines.sequences,
        "steps": lines.steps,
        "patch_rows": sweep.patch,
        "run_bytes": sweep.patch * source.shape[2],
        "row_bytes": row_bytes(source),
        "x_sequence_bytes": lines.x_sequence,
        "x_step_bytes": lines.x_step,
        "y_sequence_bytes": lines.y_sequence,
        "y_step_bytes": lines.y_step,
        "widened": _is_widened(sweep),
    }
    return fields | {member: site.planned(memory) for member, memory in _MEMORY.items()}


def _constants(name: str, sweep: GRUSweep) -> tuple[Constant, ...]:
    """Return both directions' weights and the table."""
    constants: list[Constant] = []
    zero, widened = sweep.inputs[0].zero_point, _is_widened(sweep)
    for direction, cell in (("forward", sweep.forward), ("backward", sweep.backward)):
        stream = _product_stream(cell, zero, widened=widened)
        recurrent = _recurrent_stream(cell, state_units(sweep))
        constants += [
            Constant(f"{name}_{direction}_w", stream, STREAM),
            Constant(f"{name}_{direction}_u", recurrent, _RECURRENT),
        ]
    table = Constant(f"{name}_sigmoid", sweep.table.astype(np.int16), "the sigmoid over -8 .. 8")
    return (*constants, table)


def _gru_fields(name: str, sweep: GRUSweep) -> Fields:
    code: Fields = {"code": f"HIL_CORTEX_M4_CODE({name}_step)"} if gru.suits(sweep) else {}
    return code | {
        "units": sweep.forward.units,
        "product_shift": sweep.product_shift,
        "index_shift": sweep.index_shift,
        "index_bits": sweep.index_bits,
    }


def _product_stream(cell: GRU, zero_point: int, *, widened: bool) -> Int32:
    """Return W as `matmul` reads it, r, z and n of every unit in turn, the zero point folded in."""
    w = cell.w.astype(np.int64).transpose(1, 0, 2).reshape(3 * cell.units, -1)
    bias = cell.bias.T.reshape(-1) - zero_point * w.sum(axis=1)
    multiplier = cell.multiplier.T.reshape(-1).astype(np.int64)
    if len(w) % 2:
        w = np.pad(w, ((0, 1), (0, 0)))
        bias, multiplier = (np.pad(values, (0, 1)) for values in (bias, multiplier))
    if widened:
        w = w.reshape(len(w), -1, 4)[:, :, _WIDENED].reshape(len(w), -1)
    words = _words(w)
    pairs = []
    for c in range(0, len(w), 2):
        both = words[c : c + 2].T.reshape(-1)
        pairs.append(np.concatenate([bias[c : c + 2], both, multiplier[c : c + 2], [0]]))
    return wrap_int32(np.concatenate(pairs))


def _recurrent_stream(cell: GRU, states: int) -> Int32:
    """Return U as `gru_step` reads it."""
    u = np.pad(cell.u.astype(np.int64), ((0, 0), (0, 0), (0, states - cell.units)))
    words = _words(u).transpose(1, 2, 0).reshape(cell.units, -1)
    return wrap_int32(
        np.concatenate([cell.bias_n.astype(np.int64)[:, None], words], axis=1).ravel()
    )


def _words(values: Int64) -> Int64:
    """Put neighbours in the last axis in the halves of a word; an odd one out beside zero."""
    if values.shape[-1] % 2:
        values = np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, 1)])
    return (values[..., 0::2] & 0xFFFF) | (values[..., 1::2] & 0xFFFF) << 16


def _comment(sweep: GRUSweep) -> str:
    """Return a sweep's shape, for a comment."""
    rows, columns, channels = sweep.inputs[0].shape
    out_rows, out_columns, out_channels = sweep.output.shape
    return (
        f"{sweep.name}: GRU both ways along the {sweep.along} of {sweep.patch}x{sweep.patch} "
        f"patches, {rows}x{columns}x{channels} -> {out_rows}x{out_columns}x{out_channels}, "
        f"{sweep.forward.units} units"
    )


RENET = Sweep()
