"""Layers that compute nothing in evaluation, and leave the traced network."""

from torch import fx, nn

NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)
"""Layers whose output is their input."""


def leave_out(traced: fx.GraphModule, node: fx.Node) -> None:
    """Let what reads a layer of `NOTHING` read its input, and count as a reader of that.

    Args:
        traced: the network, which is changed in place.
        node: a call of the layer.
    """
    if node.op == "call_module" and isinstance(traced.get_submodule(str(node.target)), NOTHING):
        node.replace_all_uses_with(node.all_input_nodes[0])
        node.graph.erase_node(node)
