"""Names that EdgeML's state dicts give to the parts that all networks share."""

from hil.models.blocks import MBConv


def pool_names(ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
    """Name an RNNPool's cells, which EdgeML lists two or three times, once per unrolling.

    Args:
        ours: prefix of the layer's names here.
        theirs: prefix of its names in EdgeML's checkpoint.

    Returns:
        by our name, all of theirs, which hold equal values.
    """
    unrolled = ("cell", "unrollRNN.RNNCell", "unrollRNN.RNNCell_reverse")
    return {
        f"{ours}.row": tuple(f"{theirs}.cell_rnn.{name}" for name in unrolled),
        f"{ours}.summary": tuple(f"{theirs}.cell_bidirrnn.{name}" for name in unrolled),
    }


def block_names(ours: str, theirs: str, block: MBConv) -> dict[str, tuple[str, ...]]:
    """Name an inverted residual's parts, which EdgeML numbers from the first that is there.

    Args:
        ours: prefix of the block's names here.
        theirs: prefix of its names in EdgeML's checkpoint.
        block: which parts there are.

    Returns:
        by our name, theirs.
    """
    names: dict[str, tuple[str, ...]] = {}
    stages = ["expand", "depthwise"] if block.expand is not None else ["depthwise"]
    for i, stage in enumerate(stages):
        names[f"{ours}.{stage}.conv"] = (f"{theirs}.conv.{i}.0",)
        names[f"{ours}.{stage}.norm"] = (f"{theirs}.conv.{i}.1",)
    names[f"{ours}.project.conv"] = (f"{theirs}.conv.{len(stages)}",)
    names[f"{ours}.project.norm"] = (f"{theirs}.conv.{len(stages) + 1}",)
    return names
