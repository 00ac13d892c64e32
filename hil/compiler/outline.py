"""A program in outline: a network's shapes under stand-in numbers, enough to plan its memory."""

import numpy as np

from hil.compiler.front.graph import Graph
from hil.compiler.operators.concat import Concat, ConcatNode
from hil.compiler.operators.conv2d import Conv2D, Residual
from hil.compiler.operators.fastgrnn import INDEX_BITS, Cell
from hil.compiler.operators.fusing import Conv2DNode
from hil.compiler.operators.gru import GRU, TABLE_BITS
from hil.compiler.operators.gru_sweep import GRUSweep, GRUSweepNode
from hil.compiler.operators.kind import INPUT, Node
from hil.compiler.operators.l2norm import L2Norm, L2NormNode
from hil.compiler.operators.maxout import MaxOut, MaxOutNode
from hil.compiler.operators.pool2d import Pool2D, Pool2DNode
from hil.compiler.operators.rnnpool import RNNPool, RNNPoolNode
from hil.compiler.program import Int16, Operator, Output, Program, Tensor
from hil.errors import BuildError
from hil.models import renet
from hil.models.fastgrnn import FastGRNN


def outline(graph: Graph, name: str) -> Program:
    """Give a network the operators that quantisation would, without calibrating them.

    Scales and weights are 1, but for the zeros of sparse cells: the schedule and the buffers are
    those of the quantised program, the results mean nothing.

    Raises:
        BuildError: an operator that cannot be quantised.
    """
    tensors = {INPUT: Tensor(INPUT, graph.input_shape, 1.0, 0)}
    operators: list[Operator] = []
    for node in graph.nodes:
        tensors[node.name] = Tensor(node.name, node.shape, 1.0, 0)
        operators.append(_operator(node, tensors))
    return Program(
        name,
        tensors[INPUT],
        tuple(operators),
        Output(tuple(tensors[output] for output in graph.outputs)),
    )


def _operator(node: Node, tensors: dict[str, Tensor]) -> Operator:
    common = (node.name, tuple(tensors[n] for n in node.inputs), tensors[node.name], node.macs)
    match node:
        case Conv2DNode():
            channels = len(node.weight)
            return Conv2D(
                *common,
                weight=np.ones(node.weight.shape, np.int8),
                bias=np.zeros(channels, np.int32),
                multiplier=np.ones(channels, np.int32),
                shift=0,
                stride=node.stride,
                padding=node.padding,
                depthwise=node.depthwise,
                low=0 if np.isfinite(node.low) else -128,
                residual=Residual(tensors[node.residual], 1, 1) if node.residual else None,
            )
        case RNNPoolNode(layer=layer):
            return RNNPool(
                *common,
                patch=layer.patch,
                stride=layer.stride,
                row=_cell(layer.row),
                summary=_cell(layer.summary),
            )
        case GRUSweepNode(layer=swept):
            return GRUSweep(
                *common,
                patch=swept.patch,
                along=swept.along,
                forward=_gru(swept),
                backward=_gru(swept),
                product_shift=0,
                index_shift=0,
                index_bits=TABLE_BITS,
                table=np.zeros(2**TABLE_BITS, np.int16),
            )
        case L2NormNode():
            return L2Norm(*common, multiplier=np.ones(len(node.weight), np.int32))
        case MaxOutNode():
            return MaxOut(*common, groups=node.groups)
        case ConcatNode():
            return Concat(*common, rescales=(None,) * len(node.inputs))
        case Pool2DNode():
            return Pool2D(
                *common,
                kind=node.kind,
                window=node.window,
                stride=node.stride,
                padding=node.padding,
                multiplier=1,
            )
        case _:
            raise BuildError(f"cannot quantise {type(node).__name__} ({node.name})")


def _cell(cell: FastGRNN) -> Cell:
    table = np.zeros((cell.units, 2**INDEX_BITS), np.int16)
    return Cell(
        w=_weights((cell.units, cell.inputs), cell.density[0]),
        u=_weights((cell.units, cell.units), cell.density[1]),
        bias=np.zeros(cell.units, np.int32),
        w_shift=0,
        index_shift=0,
        index_bits=INDEX_BITS,
        gate=table,
        update=table,
        state_scale=1.0,
    )


def _gru(sweep: renet.GRUSweep) -> GRU:
    units, inputs = sweep.gru.hidden_size, sweep.gru.input_size
    return GRU(
        w=np.ones((3, units, inputs), np.int16),
        bias=np.zeros((3, units), np.int32),
        multiplier=np.ones((3, units), np.int32),
        u=np.ones((3, units, units), np.int16),
        bias_n=np.zeros(units, np.int32),
    )


def _weights(shape: tuple[int, int], density: float) -> Int16:
    """Ones, and evenly among them the zeros of a sparse cell, whose schedule is another."""
    count = shape[0] * shape[1]
    steps = np.floor(np.arange(count + 1) * density + 0.5)
    weights: Int16 = np.diff(steps).astype(np.int16).reshape(shape)
    return weights
