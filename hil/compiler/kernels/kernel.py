"""What a kernel says about itself, and the step that is one call of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from hil.compiler.code.c import Constant, identifier
from hil.compiler.kernels.cycles import Costs, Work
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator, Tensor
from hil.errors import BuildError

T = TypeVar("T", bound=Operator)


@dataclass(frozen=True)
class Choices:
    """What a schedule may be free to choose; none of it changes a value.

    Attributes:
        band: rows that go into a pooling layer together; divides its patch and its stride.
        tables_in_flash: tables are read where they are, not copied to memory.
        weights_in_flash: weights are read where they are, not copied to memory.
        streamed: how many of the first steps run row by row while the image comes in; 0 where the
            image is in memory before the first.
        ccm_bytes: fill so much CCM with whatever fits, so that both regions together stay small;
            None to put in CCM what is fastest there.
        panel_bytes: weights that need more working memory go through so much, panel by panel of
            channels; None to copy any in one piece.
        summary_table_in_flash: of a pooling layer the second cell's table is read where it is.
        keeps_summaries: a pooling layer keeps the summaries of rows, in half the memory that RNN2's
            products of them take, and multiplies them each time they are read.
        weights_by_row: those of a block stand in flash as int8, and are widened panel by panel in
            each row.
        apart: steps that have choices of their own, by name.
        streams_in_ccm: what streamed steps work in goes into CCM as far as there is room, whatever
            `ccm_bytes` says.
        transforms: convolutions go through Winograd's transform where that takes fewer cycles; it
            takes more memory.
        coded: weights that go by panels stand in flash in an entropy code, where that is shorter.
    """

    band: int = 1
    tables_in_flash: bool = False
    weights_in_flash: bool = False
    streamed: int = 0
    ccm_bytes: int | None = None
    panel_bytes: int | None = None
    streams_in_ccm: bool = False
    transforms: bool = False
    coded: bool = False
    summary_table_in_flash: bool = False
    keeps_summaries: bool = False
    weights_by_row: bool = False
    apart: tuple[tuple[str, "Choices"], ...] = ()

    def of(self, step: str) -> "Choices":
        """Return the choices for a step.

        Args:
            step: its name.
        """
        return dict(self.apart).get(step, self)


@dataclass(frozen=True)
class Scratch:
    """Working memory of a step.

    Attributes:
        region: "ccm" where it should be, if there is room; "sram" otherwise.
        lasts: whether it holds something from one call of a streamed step to the next, with calls
            of others in between.
    """

    name: str
    bytes: int
    region: str = "ccm"
    lasts: bool = True


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel.

    Attributes:
        operators: those that it computes, in the program's order; several where they are fused.
        inputs: the maps it reads, the one it streams through first.
        outputs: the maps it writes.
        slack: by how many bytes `outputs[0]` may start after `inputs[0]` and still lie over it;
            None where it must not.
        band: rows that go into a pooling layer together.
        panel: output channels whose weights are in memory together; 0 where all are, or none.
    """

    name: str
    kernel: "Kernel"
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scratch: tuple[Scratch, ...] = ()
    slack: int | None = None
    band: int = 1
    panel: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates as the model states them."""
        return sum(operator.macs for operator in self.operators)

    def scratch_bytes(self, name: str) -> int:
        """Return the bytes of the working memory of this name, 0 where there is none."""
        return sum(scratch.bytes for scratch in self.scratch if scratch.name == name)


@dataclass(frozen=True)
class Access:
    """How a step that runs row by row goes through its input.

    Call n needs the rows below n * step + reach, as far as there are any; once n calls are done,
    those from n * step + lead on are still needed.
    """

    calls: int
    step: int
    reach: int
    lead: int


@dataclass(frozen=True, eq=False)
class StepCode:
    """What a step adds to the emitted sources.

    Attributes:
        headers: of firmware/kernels.
        comment: the layer's shape and equation.
        constants: arrays for weights.c.
        descriptors: definitions before the step's function.
        calls: the statements of the step's function.
        made: a C expression for the rows of output that are complete after `calls` calls of a
            streamed step; empty where each call completes one.
    """

    headers: tuple[str, ...]
    comment: str
    constants: tuple[Constant, ...]
    descriptors: str
    calls: tuple[str, ...]
    made: str = ""


@dataclass(frozen=True)
class Memory:
    """Where a step's working memory begins: "sram" is `model_arena`, "ccm" is `model_scratch`."""

    region: str
    offset: int


@dataclass(frozen=True, eq=False)
class Site:
    """A step in its plan: where its maps and its working memory stand, and how C names them.

    Attributes:
        offsets: of every stored map in the arena, by tensor's name.
        memory: the step's working memory, by name.
        wait_states: of flash.
        is_streamed: whether it runs row by row.
    """

    step: Step
    choices: Choices
    offsets: Mapping[str, int]
    memory: Mapping[str, Memory]
    is_streamed: bool
    wait_states: int

    @property
    def copied(self) -> bool:
        """Whether weights are copied to memory before they are read."""
        return not self.choices.weights_in_flash

    def arena(self, tensor: Tensor) -> str:
        """Return the C expression for where a map's memory begins."""
        return f"(int8_t *)model_arena + {self.offsets[tensor.name]}"

    def map(self, tensor: Tensor) -> str:
        """Return the C expression for where a map stands.

        Of a streamed step's map there are a few rows: the expression says where the first row of
        the whole map would be.
        """
        return (
            f"stream_strip_base(&{strip_name(tensor)})" if self.is_streamed else self.arena(tensor)
        )

    def row(self, tensor: Tensor) -> str:
        """Return the C expression for the first of the rows that a call of the step is about."""
        return (
            f"stream_strip_row(&{strip_name(tensor)}, row)"
            if self.is_streamed
            else self.arena(tensor)
        )

    def span(self, rows: int) -> tuple[str, str]:
        """Return C expressions for the first row and the number of rows that a call computes."""
        return ("row", "1") if self.is_streamed else ("0", str(rows))

    def pixels(self, tensor: Tensor) -> str:
        """Return how many of a map's pixels a call is about: all of them, or a row's."""
        rows, columns, _ = tensor.shape
        return str(columns if self.is_streamed else rows * columns)

    def residual(self, conv: Conv2D) -> str:
        """Return the C expression for the map that a convolution adds, NULL where none."""
        return self.map(conv.residual.source) if conv.residual else "NULL"

    def scratch(self, name: str) -> str:
        """Return the C expression for the step's working memory of a name."""
        memory = self.memory[name]
        region = "model_arena" if memory.region == "sram" else "model_scratch"
        return f"(void *)({region} + {memory.offset})"

    def planned(self, name: str) -> str:
        """Return the C expression for working memory, NULL where the plan has none of the name."""
        return self.scratch(name) if name in self.memory else "NULL"


class Kernel(ABC):
    """A kernel: which operators it computes, what that takes, and the code it becomes.

    Planner, cost model, flash estimate and emitter ask every kernel of `registry.KERNELS` the same
    questions and know none by name.

    Attributes:
        name: that of its C file in firmware/kernels, without ending.
        parts: the other C files there that it calls.
        step_bytes: of flash for a step's descriptors, its function and its entry among the layers;
            its name comes on top (`code_size.name_bytes`). Far buffers take some bytes more, of
            which RUNTIME_FLASH_BYTES has room.
        code_bytes: of the C file, code and constants, as the compiler that makes most of it.
        bits: of the values that it writes.
        cycles: what each kind of work of its own costs; `registry.COSTS` has what it shares too.
    """

    name: str
    parts: tuple[str, ...] = ()
    step_bytes: int
    code_bytes: int
    bits: ClassVar[int] = 8
    cycles: ClassVar[Costs] = {}

    def suits(self, step: Step) -> bool:
        """Whether it writes values of as many bits as the last of a step's operators give."""
        return all(tensor.bits == self.bits for tensor in step.outputs)

    @abstractmethod
    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Make a step of the next operators.

        Args:
            rest: the operators without a step, in the program's order.
            readers: how many operators read each tensor, the result counting as one.
            choices: the schedule's.

        Returns:
            A step that computes `rest[0]`, perhaps with others; None where this kernel cannot.
        """

    @abstractmethod
    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the bytes of a step's arrays in flash.

        Args:
            step: one that this kernel has made.
            choices: the schedule's.
        """

    @abstractmethod
    def work(self, site: Site) -> Work:
        """Count a step's work in one inference, by the names of `registry.COSTS`."""

    @abstractmethod
    def code(self, site: Site) -> StepCode:
        """Write a step's C.

        Raises:
            BuildError: a parameter that the kernel cannot take.
        """

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write a step's Cortex-M4 code for kernels.S; each function has its twin in C.

        Args:
            name: the step's.
            operators: the step's.
            panel: the step's.
        """
        return ""

    def files(self, step: Step) -> tuple[str, ...]:
        """Return the C files of firmware/kernels that a step takes, without ending."""
        return (self.name, *self.parts)

    def stack_bytes(self, step: Step) -> int:
        """Count the bytes of large locals of its C, with the code that is called meanwhile.

        Args:
            step: one that this kernel has made.
        """
        return 0

    def access(self, step: Step) -> Access | None:
        """Return how a step goes through its input row by row, None where it cannot."""
        return None

    def made(self, step: Step, calls: int) -> int:
        """Count the rows of a step's outputs that are complete after so many calls.

        Args:
            step: one that this kernel has made, streamed.
            calls: that are done.
        """
        return calls

    def bands(self, step: Step) -> int:
        """Return the number that `Choices.band` must divide for this step, 0 where any will do."""
        return 0


def strip_name(tensor: Tensor) -> str:
    """Return the C name of the strip of a streamed step's map."""
    return f"strip_{identifier(tensor.name)}"


def call(function: str, *arguments: str) -> str:
    """Write a call as a statement."""
    return f"{function}({', '.join(arguments)});"


def expect(operator: Operator, kind: type[T]) -> T:
    """Return the operator, if it is of the kind that its step says.

    Args:
        operator: of a step.
        kind: the class that it must have.

    Raises:
        BuildError: it is another.
    """
    if not isinstance(operator, kind):
        raise BuildError(f"{operator.name} is a {type(operator).__name__}, not a {kind.__name__}")
    return operator
