"""Networks as people write them: functions become layers, and vectors maps of one pixel.

The operators take layers that turn maps into maps. Most networks call functions too
(`F.relu(x)`, `torch.cat`), and end in a vector that linear layers read. Both are rewritten here,
before anything is checked. What stays as it was is refused by its name behind.

A linear layer that reads a flattened map is a convolution whose window is that map.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch.nn import functional

from hil.compiler.front.refusals import is_end, owner
from hil.compiler.front.shapes import observe
from hil.compiler.operators.kind import refused
from hil.compiler.program import Shape
from hil.models.blocks import Concat, FlattenMaps, PaddedConv2d
from hil.models.pooling import GlobalAverage

_Sizes: TypeAlias = dict[fx.Node, tuple[int, ...]]
_ACROSS = ({2, 3}, {-2, -1})  # rows and columns among a map's dimensions
_CHANNELS = (1, -3)
_OF_VECTOR, _OF_MAP = 2, 4  # dimensions: images, channels; images, channels, rows, columns


def rewrite(traced: fx.GraphModule, input_shape: Shape) -> None:
    """Give a network the layers that the operators take, in place.

    Args:
        traced: the network, in evaluation mode.
        input_shape: rows, columns, channels.

    Raises:
        BuildError: a layer cannot be computed on what it reads, or the result is a flattened map
            whose pixels would come in another order.
    """
    nodes = traced.graph.nodes
    if any(is_end(traced, n) for n in nodes) and not any(_is_ordinary(traced, n) for n in nodes):
        return
    sizes: _Sizes = {}
    observe(traced, input_shape, 1, lambda node, value: sizes.update({node: _size(value)}))
    end = _end_of(traced, sizes)
    for node in list(nodes):
        match node.op:
            case "call_module":
                _rewrite_layer(traced, node, sizes)
            case "call_function" | "call_method":
                _rewrite_call(traced, node, sizes)
            case "output" if end is not None:
                _rewrite_end(traced, node, sizes, end)
    for node in reversed(nodes):  # sizes that a view has asked for
        if node.op in {"call_function", "call_method"} and not node.users and not sizes.get(node):
            traced.graph.erase_node(node)
    traced.recompile()


def _is_ordinary(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(traced.get_submodule(str(node.target)), _LAYERS)
    return node.op in {"call_function", "call_method"} and (
        node.target in _CALLS or node.target in _FLATTEN
    )


def _size(value: object) -> tuple[int, ...]:
    """A tensor's size; nothing of what is no tensor."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


# calls


def _relu(*, inplace: bool = False) -> nn.Module:
    return nn.ReLU(inplace)


def _clamp(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> nn.Module | None:
    return nn.ReLU6(inplace) if (min_val, max_val) == (0.0, 6.0) else None


def _max_pool(  # noqa: PLR0917 - as torch's function has them
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> nn.Module:
    return nn.MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module | None:
    return None if training else nn.Dropout(p, inplace)


def _mean(dim: Sequence[int] = (), keepdim: bool = False) -> nn.Module | None:
    del keepdim  # a vector is a map of one pixel
    return GlobalAverage() if set(dim) in _ACROSS else None


def _pad(
    pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> nn.Module | None:
    is_zero = mode == "constant" and not value and len(pad) == 4
    return nn.ZeroPad2d((pad[0], pad[1], pad[2], pad[3])) if is_zero else None


_CALLS: dict[Callable[..., Any] | str, Callable[..., nn.Module | None]] = {
    functional.relu: _relu,
    torch.relu: _relu,
    "relu": _relu,
    "relu_": lambda: nn.ReLU(inplace=True),
    functional.relu6: nn.ReLU6,
    functional.hardtanh: _clamp,
    functional.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.dropout: _dropout,
    functional.pad: _pad,
    functional.hardswish: nn.Hardswish,
    functional.hardsigmoid: nn.Hardsigmoid,
    functional.silu: nn.SiLU,
    functional.gelu: nn.GELU,
    functional.elu: nn.ELU,
    functional.leaky_relu: nn.LeakyReLU,
    functional.sigmoid: nn.Sigmoid,
    torch.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    functional.tanh: nn.Tanh,
    torch.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    torch.mean: _mean,
    "mean": _mean,
}
_JOINS = (torch.cat, torch.concat)
_CALLS.update(dict.fromkeys(_JOINS, Concat))
_FLATTEN = (torch.flatten, torch.reshape, "flatten", "view", "reshape")


def _rewrite_call(traced: fx.GraphModule, node: fx.Node, sizes: _Sizes) -> None:
    """Let a layer take a function's place, and nothing that of one that flattens."""
    if node.target in _FLATTEN:
        _leave_flattening_out(node, sizes)
        return
    if node.target not in _CALLS:
        return
    if node.target in _JOINS:
        maps, *rest = node.args
        dim = rest[0] if rest else node.kwargs.get("dim", 0)
        if not isinstance(maps, list | tuple) or dim not in _CHANNELS:
            return
        layer: nn.Module | None = Concat()
        read = tuple(maps)
    else:
        layer, read = _made(node), node.args[:1]
    if layer is None:
        return
    name = owner(node)
    traced.add_submodule(name, layer.eval())
    with traced.graph.inserting_before(node):
        call = traced.graph.call_module(name, read)
    sizes[call] = sizes[node]
    node.replace_all_uses_with(call)
    traced.graph.erase_node(node)
    _rewrite_layer(traced, call, sizes)


def _made(node: fx.Node) -> nn.Module | None:
    """The layer that computes what a function is called to; None where there is none."""
    _, *given = node.args
    if any(isinstance(one, fx.Node) for one in (*given, *node.kwargs.values())):
        return None
    try:
        return _CALLS[node.target](*given, **node.kwargs)
    except (TypeError, ValueError):  # as the function would say of such arguments
        return None


def _leave_flattening_out(node: fx.Node, sizes: _Sizes) -> None:
    """Let what reads the vector read the map: (n, channels, rows, columns)."""
    source = node.all_input_nodes[0]
    count = sizes[node]
    if len(count) == 2 and count[0] == 1 and len(sizes[source]) in {2, 4}:
        node.replace_all_uses_with(source)
        node.graph.erase_node(node)


# layers

_LAYERS = (
    nn.Linear, nn.BatchNorm1d, nn.Flatten, nn.AdaptiveAvgPool2d, nn.Hardtanh, nn.ZeroPad2d
)  # fmt: skip


def _rewrite_layer(traced: fx.GraphModule, node: fx.Node, sizes: _Sizes) -> None:
    """Put the layer that an operator takes into the place of one of torch's."""
    layer = traced.get_submodule(str(node.target))
    if type(layer) not in _LAYERS or layer._forward_hooks or layer._forward_pre_hooks:  # noqa: SLF001
        return
    (source,) = node.all_input_nodes
    new: nn.Module | None = None
    match layer:
        case nn.Flatten():
            _leave_flattening_out(node, sizes)
            return
        case nn.ZeroPad2d():
            _let_convolutions_pad(traced, node, layer)
            return
        case nn.Linear() if len(sizes[node]) == 2:
            new = _window(layer, _pixels(traced, source, sizes))
        case nn.BatchNorm1d() if _pixels(traced, source, sizes) == (1, 1):
            new = nn.BatchNorm2d(layer.num_features)
            new.__dict__.update(layer.__dict__)  # its numbers and settings
        case nn.AdaptiveAvgPool2d():
            new = _average(layer, sizes[source][-2:])
        case nn.Hardtanh():
            new = _clamp(layer.min_val, layer.max_val, layer.inplace)
    if new is not None:
        traced.add_submodule(str(node.target), new.eval())


def _let_convolutions_pad(traced: fx.GraphModule, node: fx.Node, layer: nn.ZeroPad2d) -> None:
    """Let the convolutions that read a padded map pad it themselves, where no others read it."""
    calls = [str(n.target) for n in traced.graph.nodes if n.op == "call_module"]
    names = {str(reader.target) for reader in node.users if reader.op == "call_module"}
    layers = {name: traced.get_submodule(name) for name in names if calls.count(name) == 1}
    convs = {
        name: conv
        for name, conv in layers.items()
        if isinstance(conv, nn.Conv2d)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    }
    if len(convs) != len(node.users) or min(layer.padding) < 0:
        return
    for name, conv in convs.items():
        traced.add_submodule(name, PaddedConv2d(conv, layer.padding))
    node.replace_all_uses_with(node.all_input_nodes[0])
    traced.graph.erase_node(node)


def _window(layer: nn.Linear, pixels: Sequence[int]) -> nn.Module:
    """A linear layer on a flattened map, as the convolution that sees all of the map at once."""
    channels = layer.in_features // (pixels[0] * pixels[1])
    rows, columns = pixels
    conv = nn.Conv2d(channels, layer.out_features, (rows, columns), bias=layer.bias is not None)
    conv.weight = nn.Parameter(layer.weight.detach().view(-1, channels, *pixels))
    conv.bias = layer.bias
    return conv


def _average(layer: nn.AdaptiveAvgPool2d, pixels: Sequence[int]) -> nn.Module | None:
    """The average over windows of one size; None where they would be of several."""
    given: Any = layer.output_size  # None keeps a side
    wanted = given if isinstance(given, tuple) else (given, given)
    rows, columns = (n if w is None else w for w, n in zip(wanted, pixels, strict=True))
    if (rows, columns) == (1, 1):
        return GlobalAverage()
    if (rows, columns) == tuple(pixels):
        return nn.Identity()
    if pixels[0] % rows or pixels[1] % columns:
        return None
    return nn.AvgPool2d((pixels[0] // rows, pixels[1] // columns))


def _pixels(traced: fx.GraphModule, node: fx.Node, sizes: _Sizes) -> tuple[int, ...]:
    """Rows and columns of a value's map. A vector has those of the map that it flattens."""
    if len(sizes[node]) == 4:
        return sizes[node][2:]
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(layer, nn.Conv2d | GlobalAverage) or not node.all_input_nodes:
        return (1, 1)
    return _pixels(traced, node.all_input_nodes[0], sizes)  # it goes value by value


# the end


def _end_of(traced: fx.GraphModule, sizes: _Sizes) -> list[int] | None:
    """Of what a network returns, the dimensions of each part; None for what is left as it is."""
    nodes = list(traced.graph.nodes)
    parts = _parts(nodes[-1])
    if any(is_end(traced, node) for node in nodes):
        return None
    if not all(isinstance(part, fx.Node) and part.op != "placeholder" for part in parts):
        return None
    dimensions = [len(sizes[part]) for part in parts if isinstance(part, fx.Node)]
    return dimensions if {*dimensions} <= {_OF_VECTOR, _OF_MAP} else None


def _parts(output: fx.Node) -> list[Any]:
    """What a network returns: one value or several."""
    (result,) = output.args
    return list(result) if isinstance(result, list | tuple) else [result]


def _rewrite_end(
    traced: fx.GraphModule, node: fx.Node, sizes: _Sizes, dimensions: Sequence[int]
) -> None:
    """Let a `FlattenMaps` make the vector of what the network returns: a vector, a map, several.

    Args:
        traced: the network, its vectors already maps.
        node: its end.
        sizes: of its values as it was written.
        dimensions: of each part of the result, as it was written.
    """
    parts = _parts(node)
    for part, count in zip(parts, dimensions, strict=True):
        pixels = _pixels(traced, part, sizes)
        if count == _OF_VECTOR and pixels != (1, 1):
            raise refused(
                "forward",
                f"its result is a flattened map of {pixels[0]} x {pixels[1]} pixels, channel by "
                "channel, where the firmware gives it pixel by pixel",
                hint="return the map, or end the network in hil.models.blocks.FlattenMaps",
            )
    name = "hil_outputs"
    traced.add_submodule(name, FlattenMaps())
    with traced.graph.inserting_before(node):
        node.args = (traced.graph.call_module(name, tuple(parts)),)
