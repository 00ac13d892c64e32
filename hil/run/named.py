"""A network's outputs by the names and labels that its scenario gives them."""

from typing import TYPE_CHECKING

import numpy as np

from hil.config.scenario import Scenario
from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.compiler.program import Float32, Output, Program, Quantised


def check(scenario: Scenario, program: "Program") -> None:
    """Hold the names against the outputs there are. Raises UsageError.

    Args:
        scenario: with the names and labels.
        program: with the outputs.
    """
    maps, values = len(program.output.tensors), program.output.count
    for key, named, count in (
        ("output.names", scenario.output_names, maps),
        ("output.labels", scenario.labels, values),
    ):
        if named and len(named) != count:
            what = "maps that FlattenMaps joins" if key.endswith("names") else "output values"
            raise UsageError(
                f"the scenario {scenario.name}: {key} has {len(named)} entries, "
                f"the model {program.name} {count} {what}"
            )


def values(scenario: Scenario, output: "Output", outputs: "Quantised") -> "dict[str, Float32]":
    """Return each map of the result as real numbers, (rows, columns, channels), by its name.

    Args:
        scenario: with the names.
        output: with the scales.
        outputs: (count,).
    """
    exact = output.dequantise(outputs)
    tensors = output.tensors
    names = scenario.output_names or [tensor.name for tensor in tensors]
    found, at = {}, 0
    for name, tensor in zip(names, tensors, strict=True):
        found[name] = exact[at : at + tensor.count].reshape(tensor.shape)
        at += tensor.count
    return found


def label(scenario: Scenario, output: "Output", outputs: "Quantised") -> str | None:
    """Return the label of the greatest output; None where the scenario has no labels.

    Args:
        scenario: with the labels.
        output: with the scales.
        outputs: (count,).
    """
    if not scenario.labels:
        return None
    return scenario.labels[int(np.argmax(output.dequantise(outputs)))]
