"""The compiler: from a float network to the program that firmware and reference share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.compiler.auto import Room
    from hil.compiler.front.graph import Graph
    from hil.compiler.program import Float32, Program
    from hil.models import LoadedModel


@dataclass(frozen=True)
class Compiled:
    """A quantised network beside the float graph it was made from."""

    program: "Program"
    graph: "Graph"


def compile_model(
    loaded: "LoadedModel",
    calibration: Sequence["Float32"],
    options: Sequence[str] = (),
    room: "Room | None" = None,
) -> Compiled:
    """Quantise a network; one that was imported has its integers already.

    Args:
        loaded: the network.
        calibration: preprocessed images, (rows, columns, channels) each, to choose ranges on.
        options: of the quantiser, by name; "auto" for those that help on the images.
        room: as `auto.choose` takes it.

    Raises:
        BuildError: the network holds an operator that the compiler does not know.
        UsageError: there is no such option, or the network's integers are given.
    """
    from hil.compiler.front.trace import trace
    from hil.compiler.integers.recipe import AUTO, with_options
    from hil.compiler.quantise import levels_of, quantise
    from hil.models.imported.module import Imported
    from hil.models.threads import one_thread

    if isinstance(loaded.module, Imported):
        if options:
            raise UsageError(
                f"{loaded.model_id} has its integers already; quantise = {list(options)} asks for "
                "others",
                hint="leave `quantise` out of its scenario",
            )
        from hil.compiler.front.imported import translate

        made = translate(loaded.module, loaded.model_id)
        return Compiled(made.program, made.graph)
    with one_thread():
        graph = trace(loaded.module, loaded.spec.shape)
        name, input_range = loaded.model_id, loaded.spec.range
        levels = levels_of(loaded.spec)
        recipe = with_options([option for option in options if option != AUTO])
        if AUTO in options:
            from hil.compiler.auto import choose

            seen = graph.activations(calibration)
            recipe, _ = choose(
                graph,
                seen,
                name=name,
                input_range=input_range,
                recipe=recipe,
                levels=levels,
                room=room,
            )
        program = quantise(
            graph, calibration, name=name, input_range=input_range, recipe=recipe, levels=levels
        )
    return Compiled(replace(program, parameters=loaded.parameters), graph)
