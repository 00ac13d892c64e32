"""How a network was quantised, and what each of the quantiser's choices buys.

Every choice is undone by itself and the network measured again, on the same photographs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hil.compiler import operators, quality
from hil.compiler.auto import Room, Tried, choose
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.integers.ranges import affine
from hil.compiler.integers.recipe import AUTO, DEFAULT, Recipe, with_options
from hil.compiler.operators.kind import INPUT, Float64
from hil.compiler.program import Operator, Program
from hil.compiler.quantise import levels_of, quantise_on
from hil.errors import BuildError, MemoryLimitError
from hil.models.threads import one_thread
from hil.run.evaluation.scores import Figure
from hil.run.measurement import Progress, silent
from hil.studies.quantisation.costs import Cost
from hil.vision import photographs

if TYPE_CHECKING:
    from hil.compiler.integers.exact import Whole
    from hil.compiler.operators.kind import Kept
    from hil.compiler.quality import Quality
    from hil.models import LoadedModel


@dataclass(frozen=True)
class Variant:
    """A way to quantise a network.

    Attributes:
        name: short enough to head a column.
        what: in words.
        kept: what is kept of every state of a cell; None for its 16 bits.
        of_cells: whether it changes nothing without cells of RNNs that have states and tables.
    """

    name: str
    what: str
    recipe: Recipe = DEFAULT
    kept: "Kept | None" = None
    of_cells: bool = False


def _eight_bits(state: "Whole") -> "Whole":
    kept: Whole = np.clip(np.rint(state / 256.0), -128, 127) * 256.0
    return kept


AS_IS = Variant("as is", "as every program is made")
UNDONE = (
    Variant("min-max", "maps over their whole calibrated range", Recipe(ranges="whole")),
    Variant(
        f"{DEFAULT.percentile:g} %",
        f"maps between the percentiles {100 - DEFAULT.percentile:g} and {DEFAULT.percentile:g}",
        Recipe(ranges="percentile"),
    ),
    Variant("nearest", "each weight rounded to the nearest", Recipe(rounding="nearest")),
    Variant("per tensor", "one scale for all weights of a layer", Recipe(weight_scales="tensor")),
    Variant("no margin", "results over the range of calibration", Recipe(result_margin=1.0)),
    Variant("centre 0", "channels of the pool around 0", Recipe(centres=False), of_cells=True),
    Variant("8-bit h", "states of the cells in 8 bits", kept=_eight_bits, of_cells=True),
)


OPTIONAL = (
    Variant("input", "bytes of the input are a photograph's levels", with_options(["input"])),
    Variant("equalise", "channels of maps with factors of their own", with_options(["equalise"])),
    Variant("bias", "biases make up for the integers before", with_options(["bias"])),
    Variant("learned", "weights and biases do", with_options(["learned"])),
    Variant("task", "ranges by what the outputs feel", with_options(["task"])),
    Variant("int16", "results of 16 bits", with_options(["int16"])),
    Variant("tables128", "tables of 128 entries", with_options(["tables128"]), of_cells=True),
    Variant("tables512", "tables of 512 entries", with_options(["tables512"]), of_cells=True),
)
"""The options of a scenario, one by one: `recipe.OPTIONS`, of which `UNDONE` has "whole".

"weights7" is left out: it changes only what is far too large otherwise.
"""


@dataclass(frozen=True)
class Layer:
    """What was chosen for an operator's output and weights.

    Attributes:
        share: of the calibrated range; None where the range was not chosen but follows.
        range: how it came about.
        weights: their bits and how many scales they have.
        given: where the range comes from that was not chosen, in few letters.
    """

    operator: str
    kind: str
    shape: tuple[int, int, int]
    scale: float
    zero_point: int
    share: float | None
    range: str
    weights: str
    given: str = ""
    bits: int = 8

    @property
    def low(self) -> float:
        """Least real value that the output's integers can hold."""
        return (-(1 << self.bits - 1) - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """Greatest real value that the output's integers can hold."""
        return ((1 << self.bits - 1) - 1 - self.zero_point) * self.scale


@dataclass(frozen=True)
class Outcome:
    """A variant, how close it comes to the float network, and what was asked beside.

    Attributes:
        cost: on a board.
        score: on a dataset: mean average precision or accuracy, float's and the integers'.
    """

    variant: Variant
    quality: "Quality"
    cost: Cost | None = None
    score: Figure | None = None


@dataclass(frozen=True)
class Report:
    """A network's quantisation.

    Attributes:
        calibration, evaluation: photographs.
        outcomes: as is, then with every choice undone or option taken that was asked for.
        tried: what `auto` measured, where it chose.
        impossible: why a variant is none for the network or the board, by name.
    """

    model: str
    weights: str
    calibration: tuple[str, ...]
    evaluation: tuple[str, ...]
    layers: tuple[Layer, ...]
    outcomes: tuple[Outcome, ...] = field(default=())
    tried: tuple[Tried, ...] = ()
    impossible: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_is(self) -> "Quality":
        """The program that the board gets."""
        return self.outcomes[0].quality


def undone(loaded: "LoadedModel") -> tuple[Variant, ...]:
    """Variants that make a difference to a network."""
    return _of(loaded, UNDONE)


def _of(loaded: "LoadedModel", variants: Sequence[Variant]) -> tuple[Variant, ...]:
    known = filter(operators.knows_layer, loaded.module.modules())
    cells = any(operators.of_layer(layer).has_cells for layer in known)
    return tuple(variant for variant in variants if cells or not variant.of_cells)


def optional(loaded: "LoadedModel") -> tuple[Variant, ...]:
    """Options that make a difference to a network."""
    return _of(loaded, OPTIONAL)


def stages(variants: Sequence[Variant], names: Sequence[str]) -> int:
    """How often `run` tells that something begins.

    Args:
        variants: that are tried.
        names: of the scenario's own options.
    """
    return 2 + 1 + len(variants) + len(names)


def run(
    loaded: "LoadedModel",
    variants: Sequence[Variant],
    names: Sequence[str],
    begin: Progress = silent,
    *,
    calibration: Sequence[str] = (),
    options: Sequence[str] = (),
    room: Room | None = None,
    cost: Callable[[Program], Cost] | None = None,
    score: Callable[[Graph, Program], Figure] | None = None,
) -> Report:
    """Quantise a network as it is and in other ways, and run all of them beside it.

    Args:
        loaded: the network.
        variants: beside `AS_IS`.
        names: photographs to measure on.
        begin: told every stage.
        calibration: photographs to calibrate on; none for the usual ones.
        options: of the quantiser, in every program, as `compile_model` takes them.
        room: as `auto.choose` takes it.
        cost: of a program; None where nobody asks.
        score: of a program on a dataset; likewise.

    Raises:
        BuildError: the network holds an operator that the compiler does not know.
        UsageError: a photograph cannot be read, or there is no such option.
        MemoryLimitError: the network as it is does not fit, where its cost is asked for.
    """
    calibration = calibration or photographs.calibration_set()
    with one_thread():
        begin(f"tracing {loaded.model_id}")
        graph = trace(loaded.module, loaded.spec.shape)
        begin(f"calibrating on {len(calibration)} photographs")
        seen = graph.activations([photographs.prepare(n, loaded.spec) for n in calibration])
        quantiser = _Quantiser(loaded, graph, seen)
        base, tried = quantiser.base(options, room)
        ways = _quantised(quantiser, base, (AS_IS, *variants), cost, begin)
        images = {name: photographs.prepare(name, loaded.spec) for name in names}
        candidates = [way.candidate for way in ways.possible]
        measured = quality.measure_all(
            graph, candidates, images, lambda name: begin(f"running on {name}")
        )
    return Report(
        model=loaded.model_id,
        weights=loaded.weights,
        calibration=tuple(calibration),
        evaluation=tuple(names),
        layers=_layers(candidates[0].program, seen, loaded.spec.range),
        outcomes=tuple(
            Outcome(
                way.variant,
                quality,
                way.cost,
                score(graph, way.candidate.program) if score else None,
            )
            for way, quality in zip(ways.possible, measured, strict=True)
        ),
        tried=tried,
        impossible=ways.impossible,
    )


@dataclass(frozen=True)
class _Quantiser:
    """Quantises one network, on activations that were recorded once.

    Attributes:
        seen: the activations of each map over the calibration photographs.
    """

    loaded: "LoadedModel"
    graph: Graph
    seen: Mapping[str, Float64]

    def base(self, options: Sequence[str], room: Room | None) -> tuple[Recipe, tuple[Tried, ...]]:
        """Return the recipe that a scenario's options ask for, and what `auto` tried for it."""
        recipe = with_options([option for option in options if option != AUTO])
        if AUTO not in options:
            return recipe, ()
        return choose(
            self.graph,
            self.seen,
            name=self.loaded.model_id,
            input_range=self.loaded.spec.range,
            recipe=recipe,
            levels=levels_of(self.loaded.spec),
            room=room,
        )

    def program(self, recipe: Recipe) -> Program:
        """Quantise the network by a recipe."""
        return quantise_on(
            self.graph,
            self.seen,
            name=self.loaded.model_id,
            input_range=self.loaded.spec.range,
            recipe=recipe,
            levels=levels_of(self.loaded.spec),
        )


@dataclass(frozen=True)
class _Way:
    """A variant's program, and what it costs where that was asked."""

    variant: Variant
    candidate: quality.Candidate
    cost: Cost | None


@dataclass(frozen=True)
class _Ways:
    """Variants that are possible, and why the others are not, by name."""

    possible: list[_Way] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)


def _quantised(
    quantiser: _Quantiser,
    base: Recipe,
    variants: Sequence[Variant],
    cost: Callable[[Program], Cost] | None,
    begin: Progress,
) -> _Ways:
    """Quantise a network in several ways; the first, as it is, must be possible."""
    ways = _Ways()
    for variant in variants:
        begin(f"quantising: {variant.name}")
        try:
            program = quantiser.program(_changed(base, variant.recipe))
            costs = cost(program) if cost else None
        except (BuildError, MemoryLimitError) as error:
            if variant is AS_IS:
                raise
            ways.impossible[variant.name] = error.what
        else:
            candidate = quality.Candidate(program, variant.kept)
            ways.possible.append(_Way(variant, candidate, costs))
    return ways


def _changed(base: Recipe, variant: Recipe) -> Recipe:
    """Change what a variant changes of the defaults."""
    usual = asdict(DEFAULT)
    return replace(base, **{k: v for k, v in asdict(variant).items() if v != usual[k]})


def _layers(
    program: Program, seen: Mapping[str, Float64], input_range: tuple[float, float]
) -> tuple[Layer, ...]:
    made = program.input
    whole = f"all that a photograph can hold, {input_range[0]:.4g} to {input_range[1]:.4g}"
    first = Layer(INPUT, "input", made.shape, made.scale, made.zero_point, None, whole, "", "all")
    return (first, *(_layer(operator, seen) for operator in program.operators))


def _layer(operator: Operator, seen: Mapping[str, Float64]) -> Layer:
    output, kind = operator.output, operators.of(operator)
    given = kind.given(operator)
    share: float | None = None
    if given is not None:
        how = given.words
    else:
        values = seen[output.name]
        low, high = float(values.min()), float(values.max())
        share = output.scale / affine(low, high, output.bits).scale
        by = "by least squared error" if output.bits == 8 else "in int16"
        how = f"{share:.3g} of the calibrated {low:.4g} to {high:.4g}, {by}"
    return Layer(
        operator=operator.name,
        kind=type(operator).__name__,
        shape=output.shape,
        scale=output.scale,
        zero_point=output.zero_point,
        share=share,
        range=how,
        weights=kind.weights(operator),
        given=given.short if given else "",
        bits=output.bits,
    )
