"""The compiler: from a float network to the program that firmware and reference share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.compiler.front.graph import Graph
    from hil.compiler.program import Float32, Program
    from hil.models import LoadedModel


@dataclass(frozen=True)
class Compiled:
    """A quantised network beside the float graph it was made from."""

    program: "Program"
    graph: "Graph"


def compile_model(loaded: "LoadedModel", calibration: Sequence["Float32"]) -> Compiled:
    """Quantise a network; one that was imported has its integers already.

    Args:
        loaded: the network.
        calibration: preprocessed images, (rows, columns, channels) each, to choose ranges on.

    Raises:
        BuildError: the network holds an operator that the compiler does not know.
    """
    from hil.compiler.front.trace import trace
    from hil.compiler.quantise import quantise
    from hil.models.imported.module import Imported
    from hil.models.threads import one_thread

    if isinstance(loaded.module, Imported):
        from hil.compiler.front.imported import translate

        made = translate(loaded.module, loaded.model_id)
        return Compiled(made.program, made.graph)
    with one_thread():
        graph = trace(loaded.module, loaded.spec.shape)
        program = quantise(graph, calibration, name=loaded.model_id, input_range=loaded.spec.range)
    return Compiled(replace(program, parameters=loaded.parameters), graph)
