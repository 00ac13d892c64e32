"""A convolution that runs into another kernel, row by row, so that its map is never stored."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hil.compiler.code.c import Constant
from hil.compiler.kernels.cycles import Work
from hil.compiler.kernels.kernel import Choices, Scratch, Site
from hil.compiler.operators.conv2d import Conv2D


@dataclass(frozen=True, eq=False)
class FeedCode:
    """The convolution's parts of the step's code.

    Attributes:
        headers, constants, descriptor: as `StepCode` has them.
        call: the statement that computes rows, with {source}, {row} and {count} to fill in; it
            writes them to `rows`.
    """

    headers: tuple[str, ...] = ()
    constants: tuple[Constant, ...] = ()
    descriptor: str = ""
    call: str = ""


class Feed(ABC):
    """One way to compute a convolution that runs into another kernel.

    Attributes:
        files: the C files of firmware/kernels that it takes, without ending.
    """

    files: tuple[str, ...]

    @abstractmethod
    def takes(self, conv: Conv2D) -> bool:
        """Tell whether this way computes a convolution."""

    @abstractmethod
    def scratch(self, conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
        """Return its working memory.

        Args:
            conv: the convolution that is fed.
            choices: the schedule's.
        """

    @abstractmethod
    def constant_bytes(self, conv: Conv2D, choices: Choices) -> int:
        """Count the bytes of its arrays in flash.

        Args:
            conv: the convolution that is fed.
            choices: the schedule's.
        """

    @abstractmethod
    def work(self, conv: Conv2D, site: Site) -> Work:
        """Count the work of the whole map.

        Args:
            conv: the convolution that is fed.
            site: where its step stands in the plan.

        Returns:
            how often each kind of work is done.
        """

    @abstractmethod
    def code(self, conv: Conv2D, site: Site) -> FeedCode:
        """Write its C.

        Args:
            conv: the convolution that is fed.
            site: where its step stands in the plan.
        """

    def assembly(self, conv: Conv2D) -> str:
        """Write its Cortex-M4 code for kernels.S."""
        return ""
