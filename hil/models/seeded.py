"""Weights by seed, which stand for trained ones where there is no checkpoint.

Random numbers come from numpy, and statistics are taken in double precision: then the same seed
gives the same quantised program on every machine, whatever its vector units and number of cores.
"""

import numpy as np
import torch
from torch import Tensor, nn

from hil.models.blocks import ConvBN, ConvBNReLU6
from hil.models.fastgrnn import FastGRNN
from hil.models.gated import GatedCell

_SPECTRAL_RADIUS = 0.9


def initialise(module: nn.Module, seed: int) -> None:
    """Fill a network with weights that test its quantisation as trained ones would.

    EdgeML starts training with 0.1 N(0, 1) in the cells and a batch norm that only standardises.
    RNN states are a few hundredths then, on which any quantisation looks bad. Maps hardly clip, on
    which any looks good. These weights give instead what stored trained RNNPools show (W about
    N(0, 0.5^2), U of spectral radius 0.7 to 1.1, gate biases about 0 to -1, update biases about
    0.5, pre-activations over some -6 to 4): states that fill half of -1 to 1 and still vary, and
    ReLU6 maps of which some channels are mostly zero, some clip, and all are alive.

    Args:
        module: changed in place; its cells are made sparse to their density.
        seed: the same seed gives the same weights.
    """
    generator = np.random.default_rng(seed)
    owned = {layer.norm for layer in module.modules() if isinstance(layer, ConvBN)}
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, FastGRNN):
                _fill_cell(layer, generator)
            elif isinstance(layer, GatedCell):
                _fill_gated(layer, generator)
            elif isinstance(layer, nn.GRU):
                _fill_gru(layer, generator)
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                _fill_linear(layer, generator)
            elif isinstance(layer, ConvBN):
                _fill_norm(layer.norm, generator, activated=isinstance(layer, ConvBNReLU6))
            elif isinstance(layer, nn.BatchNorm2d) and layer not in owned:
                _fill_norm(layer, generator, activated=True)


def calibrate_batch_norm(module: nn.Module, images: Tensor) -> None:
    """Set the statistics of every batch norm to those of a batch.

    Args:
        module: changed in place, left in evaluation mode.
        images: (n, channels, rows, columns), preprocessed.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    module.double().train()
    for norm in norms:
        norm.momentum = 1.0
    with torch.inference_mode():
        module(images.double())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.float().eval()


def _normal(like: Tensor, generator: np.random.Generator, mean: float, deviation: float) -> Tensor:
    return torch.from_numpy(generator.normal(mean, deviation, tuple(like.shape))).to(like.dtype)


def _fill_cell(cell: FastGRNN, generator: np.random.Generator) -> None:
    # The fan-in rule takes over where inputs are many, as in a pooling of 320 channels.
    deviation = min(0.5, (2.0 / (cell.inputs * cell.density[0])) ** 0.5)
    cell.W.copy_(_normal(cell.W, generator, 0.0, deviation))
    cell.U.copy_(_normal(cell.U, generator, 0.0, 1.0))
    cell.bias_gate.copy_(_normal(cell.bias_gate, generator, -0.3, 0.4))
    cell.bias_update.copy_(_normal(cell.bias_update, generator, 0.4, 0.3))
    cell.sparsify()
    _scale(cell.U)


def _fill_gated(cell: GatedCell, generator: np.random.Generator) -> None:
    """Weights as a FastGRNN's, gate by gate."""
    deviation = min(0.5, (2.0 / (cell.inputs * cell.density[0])) ** 0.5)
    for weight in cell.weights("W"):
        weight.copy_(_normal(weight, generator, 0.0, deviation))
    for weight in cell.weights("U"):
        weight.copy_(_normal(weight, generator, 0.0, 1.0))
    for name in cell.biases:
        bias = cell.get_parameter(name)
        bias.copy_(_normal(bias, generator, 0.0, 0.4))
    cell.sparsify()
    for weight in cell.weights("U"):
        _scale(weight)


def _fill_gru(gru: nn.GRU, generator: np.random.Generator) -> None:
    """Weights as a cell's; every gate's recurrence has the spectral radius of the others."""
    deviation = min(0.5, (2.0 / gru.input_size) ** 0.5)
    for name, parameter in gru.named_parameters():
        if name.startswith("weight_ih"):
            parameter.copy_(_normal(parameter, generator, 0.0, deviation))
        elif name.startswith("weight_hh"):
            parameter.copy_(_normal(parameter, generator, 0.0, 1.0))
            for gate in parameter.chunk(3):
                _scale(gate)
        else:
            parameter.copy_(_normal(parameter, generator, 0.0, 0.4))


def _scale(recurrence: Tensor) -> None:
    """Give a recurrence its spectral radius; one of few weights may have none, and stays."""
    radius = float(torch.linalg.eigvals(recurrence.double()).abs().max())
    if radius > 0:
        recurrence.mul_(_SPECTRAL_RADIUS / radius)


def _fill_linear(layer: nn.Conv2d | nn.Linear, generator: np.random.Generator) -> None:
    fan_in = layer.weight[0].numel()
    layer.weight.copy_(_normal(layer.weight, generator, 0.0, (2.0 / fan_in) ** 0.5))
    if layer.bias is not None:
        layer.bias.copy_(_normal(layer.bias, generator, 0.0, 0.5))


def _fill_norm(norm: nn.BatchNorm2d, generator: np.random.Generator, *, activated: bool) -> None:
    if not norm.affine:
        return
    norm.weight.copy_(_normal(norm.weight, generator, 1.2, 0.3).abs())
    norm.bias.copy_(_normal(norm.bias, generator, 0.5 if activated else 0.0, 0.5))
