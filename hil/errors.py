"""The errors of the harness and the verdict that each stands for.

A verdict says whose fault a failed measurement is: the set-up's (a compiler, a probe, a cable) or
the firmware's (a wrong output, a slow kernel). Only the set-up's are worth a retry, and they reach
JUnit as errors rather than failures.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of a measurement, as it stands in results.csv and in JUnit."""

    PASS = "pass"  # noqa: S105
    BUILD = "build"
    LOCK = "lock"
    PROBE = "probe"
    FLASH = "flash"
    BOOT = "boot"
    LINK = "link"
    TIMEOUT = "timeout"
    ERROR = "error"
    FAULT = "fault"
    MISMATCH = "mismatch"
    ACCURACY = "accuracy"
    LATENCY = "latency"
    MEMORY = "memory"
    REGRESSION = "regression"

    @property
    def is_setup_error(self) -> bool:
        """Whether the set-up failed, so that nothing is known about the firmware."""
        return self in _SETUP_ERRORS


_SETUP_ERRORS = frozenset(
    {
        Verdict.BUILD,
        Verdict.LOCK,
        Verdict.PROBE,
        Verdict.FLASH,
        Verdict.BOOT,
        Verdict.LINK,
        Verdict.TIMEOUT,
        Verdict.ERROR,  # an exception that has no verdict: of a fixture, another package, a defect
    }
)


class HilError(Exception):
    """Something the harness cannot go on from.

    Args:
        what: what happened, and what was expected instead.
        hint: what the user can do next.
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  {self.hint}" if self.hint else self.what


class UsageError(HilError):
    """A name, option or file given by the user that does not exist or cannot be read."""

    @classmethod
    def unknown(cls, kind: str, name: str, known: "list[str]") -> "UsageError":
        """Name what was asked for and list what there is.

        Args:
            kind: of thing that was asked for, such as "board".
            name: that was asked for.
            known: names that there are.
        """
        return cls(f"unknown {kind} {name!r}", hint=f"known: {', '.join(sorted(known)) or 'none'}")


class MeasurementError(HilError):
    """A measurement that ended without a result; `verdict` says at which stage."""

    verdict: Verdict

    def __init__(self, what: str, *, hint: str = "", stage: str = "") -> None:
        super().__init__(what, hint=hint)
        self.stage = stage

    @property
    def is_setup_error(self) -> bool:
        """Whether the set-up failed, so that nothing is known about the firmware."""
        return self.verdict.is_setup_error

    @property
    def is_worth_retry(self) -> bool:
        """Whether another attempt may succeed: the set-up failed, and not for good."""
        return self.is_setup_error

    def __str__(self) -> str:
        where = f" at {self.stage}" if self.stage else ""
        return f"[{self.verdict}{where}] {super().__str__()}"


class BuildError(MeasurementError):
    """The firmware could not be generated, compiled or linked."""

    verdict = Verdict.BUILD


class LockError(MeasurementError):
    """The board is held by somebody else, and was for as long as the run may wait."""

    verdict = Verdict.LOCK

    @property
    def is_worth_retry(self) -> bool:
        """Return False: it was waited for."""
        return False


class ProbeError(MeasurementError):
    """No debug probe answers, or it lost the core."""

    verdict = Verdict.PROBE


class EmulatorError(MeasurementError):
    """The emulated board itself failed, by a defect that every further attempt would meet again.

    Nothing is known about the firmware then, as when a probe loses a board on the desk.
    """

    verdict = Verdict.PROBE

    @property
    def is_worth_retry(self) -> bool:
        """Return False: the emulator does the same again."""
        return False


class FlashError(MeasurementError):
    """Programming failed, or the board runs another image than the one just built."""

    verdict = Verdict.FLASH


class BootError(MeasurementError):
    """The image was programmed but never said hello."""

    verdict = Verdict.BOOT


class LinkError(MeasurementError):
    """The serial link failed: bad frames past the resend limit, or the port vanished."""

    verdict = Verdict.LINK


class DamagedError(LinkError):
    """The line damages frames too often for an exchange to end."""


class ProtocolError(LinkError):
    """The firmware that was greeted says what it must not; its frames pass their checks."""

    verdict = Verdict.FAULT


class PortError(LinkError):
    """The serial port itself failed: it was pulled, or its driver gave up."""


class SilenceError(MeasurementError):
    """The board stopped answering within its deadline; `stage` is the last one reached."""

    verdict = Verdict.TIMEOUT


class BudgetError(MeasurementError):
    """The time for the whole run is up; every further attempt would meet that again."""

    verdict = Verdict.TIMEOUT

    @property
    def is_worth_retry(self) -> bool:
        """Return False: no time is left."""
        return False


class FirmwareTimeout(MeasurementError):
    """The firmware was at work past its deadline, as the debugger saw: it hangs, or is too slow."""

    verdict = Verdict.TIMEOUT

    @property
    def is_setup_error(self) -> bool:
        """Return False: what the core does is known."""
        return False


class FirmwareFault(MeasurementError):
    """The firmware crashed, locked up, halted, restarted itself or says what it must not.

    Attributes:
        registers: of the core where it crashed, r0 to r12, sp, lr and pc; empty where it does not
            say them.
    """

    verdict = Verdict.FAULT

    def __init__(
        self, what: str, *, hint: str = "", stage: str = "", registers: dict[str, int] | None = None
    ) -> None:
        super().__init__(what, hint=hint, stage=stage)
        self.registers = registers or {}


class MismatchError(MeasurementError):
    """The firmware's outputs or figures are not what is known of them otherwise."""

    verdict = Verdict.MISMATCH


class MemoryLimitError(MeasurementError):
    """The model does not fit the board, by this many bytes in this region.

    Attributes:
        lacking: bytes, where the planner says so.
        region: where they lack; of several the first.
    """

    verdict = Verdict.MEMORY

    def __init__(
        self, what: str, *, hint: str = "", stage: str = "", lacking: int = 0, region: str = ""
    ) -> None:
        super().__init__(what, hint=hint, stage=stage)
        self.lacking = lacking
        self.region = region
