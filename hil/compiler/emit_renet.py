"""The C of a GRU sweep: its constants, its descriptor and its call."""

import numpy as np
import numpy.typing as npt

from hil.compiler import emit_block, emit_gru
from hil.compiler.emit_c import Constant, identifier, nested, structure, wrap_int32
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    call,
    expect,
    map_pointer,
    planned_pointer,
    scratch_pointer,
)
from hil.compiler.plan import Plan
from hil.compiler.plan_steps import Step, row_bytes
from hil.compiler.plan_sweep import lines_of, product_of, state_units
from hil.compiler.program import GRU, GRUSweep, Int32

Int64 = npt.NDArray[np.int64]
_WIDENED = (0, 2, 1, 3)  # the order in which SXTB16 widens four bytes
_STEP = "(const int16_t *, const int32_t *, const int16_t *, const int16_t *, int16_t *, int32_t)"
_RECURRENT = "for each unit: bias_n, then for every two states words of r, z and n"


def renet(step: Step, plan: Plan) -> StepCode:
    """A GRU sweep of a map."""
    sweep = expect(step.operators[0], GRUSweep)
    name = identifier(sweep.name)
    product, lines = product_of(sweep), lines_of(sweep)
    source = sweep.inputs[0]
    run = sweep.patch * source.shape[2]
    widened = run % 4 == 0 and row_bytes(source) % 4 == 0
    product_fields = emit_block.product_fields(f"{name}_product", product, [], copied=False)
    if not product.is_reachable:
        product_fields["code"] = "{NULL}"
    fields: Fields = {
        "product": nested(product_fields, 2),
        "gru": nested(_gru_fields(name, sweep), 2),
        "forward": f"{{{name}_forward_w, {name}_forward_u}}",
        "backward": f"{{{name}_backward_w, {name}_backward_u}}",
        "sigmoid": f"{name}_sigmoid",
        "sequences": lines.sequences,
        "steps": lines.steps,
        "patch_rows": sweep.patch,
        "run_bytes": run,
        "row_bytes": row_bytes(source),
        "x_sequence_bytes": lines.x_sequence,
        "x_step_bytes": lines.x_step,
        "y_sequence_bytes": lines.y_sequence,
        "y_step_bytes": lines.y_step,
        "widened": widened,
        "weights": planned_pointer(plan, step, "weights"),
        "recurrent": planned_pointer(plan, step, "recurrent"),
        "table": planned_pointer(plan, step, "table"),
        "window": scratch_pointer(plan, step, "window"),
        "products": scratch_pointer(plan, step, "products"),
        "states": scratch_pointer(plan, step, "states"),
        "waiting": planned_pointer(plan, step, "backward"),
    }
    constants: list[Constant] = []
    for direction, gru in (("forward", sweep.forward), ("backward", sweep.backward)):
        stream = _product_stream(gru, source.zero_point, widened=widened)
        constants += [
            Constant(f"{name}_{direction}_w", stream, emit_block.STREAM),
            Constant(
                f"{name}_{direction}_u", _recurrent_stream(gru, state_units(sweep)), _RECURRENT
            ),
        ]
    prototypes = assembly = ""
    if product.is_reachable:
        prototypes += emit_block.product_prototypes(f"{name}_product", product)
        assembly += emit_block.product_assembly(f"{name}_product", product)
    if emit_gru.suits(sweep):
        prototypes += f"void {name}_step{_STEP};\n"
        assembly += emit_gru.step(f"{name}_step", sweep).text
    x, y = map_pointer(plan, step, source), map_pointer(plan, step, sweep.output)
    table = Constant(f"{name}_sigmoid", sweep.table.astype(np.int16), "the sigmoid over -8 .. 8")
    return StepCode(
        ("renet.h",),
        sweep_comment(sweep),
        (*constants, table),
        prototypes + structure("renet_t", name, fields),
        (call("renet", f"&{name}", x, y),),
        assembly,
    )


def _gru_fields(name: str, sweep: GRUSweep) -> Fields:
    code: Fields = {"code": f"CORTEX_M4_CODE({name}_step)"} if emit_gru.suits(sweep) else {}
    return code | {
        "units": sweep.forward.units,
        "product_shift": sweep.product_shift,
        "index_shift": sweep.index_shift,
        "index_bits": sweep.index_bits,
    }


def _product_stream(gru: GRU, zero_point: int, *, widened: bool) -> Int32:
    """W as `matmul` reads it, r, z and n of every unit in turn, the zero point folded in."""
    w = gru.w.astype(np.int64).transpose(1, 0, 2).reshape(3 * gru.units, -1)
    bias = gru.bias.T.reshape(-1) - zero_point * w.sum(axis=1)
    multiplier = gru.multiplier.T.reshape(-1).astype(np.int64)
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


def _recurrent_stream(gru: GRU, states: int) -> Int32:
    """U as `gru_step` reads it."""
    u = np.pad(gru.u.astype(np.int64), ((0, 0), (0, 0), (0, states - gru.units)))
    words = _words(u).transpose(1, 2, 0).reshape(gru.units, -1)
    return wrap_int32(np.concatenate([gru.bias_n.astype(np.int64)[:, None], words], axis=1).ravel())


def _words(values: Int64) -> Int64:
    """Neighbours in the last axis as the halves of a word; an odd one out beside zero."""
    if values.shape[-1] % 2:
        values = np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, 1)])
    return (values[..., 0::2] & 0xFFFF) | (values[..., 1::2] & 0xFFFF) << 16


def sweep_comment(sweep: GRUSweep) -> str:
    """A sweep's shape."""
    rows, columns, channels = sweep.inputs[0].shape
    out_rows, out_columns, out_channels = sweep.output.shape
    return (
        f"{sweep.name}: GRU both ways along the {sweep.along} of {sweep.patch}x{sweep.patch} "
        f"patches, {rows}x{columns}x{channels} -> {out_rows}x{out_columns}x{out_channels}, "
        f"{sweep.forward.units} units"
    )
