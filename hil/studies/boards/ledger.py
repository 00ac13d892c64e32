"""Every assumption that only silicon can prove: docs/silicon.md is this table.

`hil boards check` fills it in. A new assumption is one entry here, and a look that can show it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from hil.studies.boards.finding import Finding


class State(StrEnum):
    """What is known of an assumption on a board."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"


@dataclass(frozen=True)
class Assumption:
    """Something that manuals, other boards or nothing at all say, and this project builds on.

    Attributes:
        name: for the checklist.
        claim: what is taken for granted.
        evidence: whence.
        where: the file that builds on it.
        shows: what would show it on a board, and what a wrong one looks like.
        looks: the findings of `hil boards check` that show it; `*` and `?` stand for others.
    """

    name: str
    claim: str
    evidence: str
    where: str
    shows: str
    looks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """An assumption on one board.

    Attributes:
        findings: those that show it.
    """

    assumption: Assumption
    state: State
    findings: tuple[Finding, ...]

    @property
    def detail(self) -> str:
        """What was found, the wrong first; else what is to be done."""
        told = sorted(self.findings, key=lambda one: one.good is not False)
        return "; ".join(f"{one.name}: {one.detail}" for one in told) or self.assumption.shows


ASSUMPTIONS = (
    Assumption(
        "pins",
        "The serial port of the board's ST-LINK leads to the pins of its file, and both ways",
        "UM1974 (NUCLEO-F439ZI: PD8, PD9), UM1670 (F429I-DISC1: PA9, PA10)",
        "boards/nucleo_f439zi.toml",
        "Bytes both ways through the chip's registers; a wrong pin is named with the right one",
        ("serial * baud",),
    ),
    Assumption(
        "port",
        "The serial port has the USB serial number of the probe",
        "ST-LINK/V2-1; old and cloned ones have garbled or equal numbers",
        "hil/targets/ports.py",
        "The port is found; otherwise all ports are listed",
        ("serial port",),
    ),
    Assumption(
        "speed",
        "The ST-LINK keeps up both ways at the board's baud rate, hour after hour",
        "reports of others up to 1,228,800 baud; its firmware may be old",
        "boards/stm32f439.toml",
        "`link.resends` of runs on the board stays 0",
        ("resends",),
    ),
    Assumption(
        "chip",
        "DEV_ID, flash size and unique id stand where the family has them",
        "RM0090 sections 38.6.1 and 39",
        "hil/targets/identity.py",
        "They read as the board's file says; another chip is refused before anything is erased",
        ("chip",),
    ),
    Assumption(
        "option bytes",
        "The option bytes are the factory's",
        "RM0090 section 3.9.10",
        "hil/targets/option_bytes.py",
        "Each that would stop a run is named",
        ("option bytes",),
    ),
    Assumption(
        "oscillator",
        "The internal oscillator has 16 MHz within 1 % at 25 C: seconds are off by as much",
        "the data sheet (DS9405) table 41; AN5067: soldering shifts it",
        "firmware/chips/stm32f4/clock.c",
        "Cycles over half a second of the host's clock",
        ("clock",),
    ),
    Assumption(
        "crystal",
        "The crystal, or the clock in its place, has the board file's `hse_hz`",
        "UM1974: 8 MHz of the ST-LINK on a Nucleo; UM1670: a crystal of 8 MHz",
        "boards/nucleo_f439zi.toml",
        "It is switched on and counted; without one the file's `source` must be `hsi`",
        ("crystal",),
    ),
    Assumption(
        "168 MHz",
        "The PLL locks at 168 MHz with scale 1 and 5 wait states, at 2.7 to 3.6 V",
        "RM0090 sections 3.5.1, 5.1.4 and 7.3.2",
        "firmware/chips/stm32f4/clock.c",
        "Any run that comes to a result: its clock tree is read back",
        ("runs",),
    ),
    Assumption(
        "supply",
        "VDD has 2.7 V or more while it measures",
        "the boards' regulators: 3.3 V",
        "boards/stm32f439.toml",
        "A voltmeter at the pin 3V3: below 2.7 V five wait states are too few",
    ),
    Assumption(
        "counter in sleep",
        "CYCCNT counts on in WFI: a debugger is attached, or the firmware sets DBG_SLEEP",
        "RM0090 section 38.16.1",
        "firmware/chips/stm32f4/clock.c",
        "A sleeping core is counted; then a streamed run after a power cycle, without a debugger",
        ("sleep",),
    ),
    Assumption(
        "flash access",
        "A store to FLASH_ACR reads back at once where the wait states stay",
        "RM0090 section 3.5.1; users saw other values for a moment",
        "firmware/chips/stm32f4/clock.c",
        "Stores that read otherwise are counted, out of RAM",
        ("flash access",),
    ),
    Assumption(
        "emptied caches",
        "ICRST and DCRST empty caches that are off, in stores of their own",
        "RM0090 section 3.9.1",
        "firmware/chips/stm32f4/clock.c",
        "A line that was cached costs its wait states again: fewer cycles than modelled if not",
        ("emptied cache",),
    ),
    Assumption(
        "wait states",
        "A load from flash costs the wait states of its 16 B line, one line held",
        "RM0090 section 3.5; loops measured on an STM32F407",
        "hil/targets/emulator/timing/rules.py",
        "Loads from flash without a cache, silicon against the model",
        ("flash loads",),
    ),
    Assumption(
        "data cache",
        "The data cache has 8 lines of 16 B and replaces the least recently used",
        "RM0090 section 3.5.2 for sizes; for the order, measurements of others on an F407",
        "hil/targets/emulator/timing/rules.py",
        "8 lines in turn hit, 9 miss",
        ("8 cached lines", "9 cached lines"),
    ),
    Assumption(
        "instruction cache",
        "The instruction cache has 64 lines of 16 B, with prefetch, and times code as on an F407",
        "RM0090 section 3.5.2; CoreMark measured on an STM32F439 is within 0.3 %",
        "hil/targets/emulator/timing/rules.py",
        "Layers of runs on the board, beside the model's for the same image",
        ("layers",),
    ),
    Assumption(
        "SRAM1",
        "Loads and stores take one cycle of the bus, code beside them",
        "RM0090 section 2.1; loops measured on an STM32F407",
        "hil/targets/emulator/timing/rules.py",
        "A loop of loads and one of stores",
        ("sram1 loads", "sram1 stores"),
    ),
    Assumption(
        "SRAM2",
        "A store keeps SRAM2 busy for the next access",
        "no document: programs measured on an STM32F407",
        "hil/targets/emulator/timing/rules.py",
        "A loop of stores takes longer than in SRAM1",
        ("sram2 loads", "sram2 stores"),
    ),
    Assumption(
        "SRAM3",
        "SRAM3, which the F407 lacks, times as SRAM1",
        "RM0090 section 2.3 has it on the same matrix",
        "boards/stm32f439.toml",
        "The loops of SRAM1 in SRAM3",
        ("sram3 loads", "sram3 stores"),
    ),
    Assumption(
        "CCM",
        "The core-coupled memory takes no wait and shares no bus",
        "RM0090 section 2.1",
        "hil/targets/emulator/timing/rules.py",
        "A loop of loads and one of stores",
        ("ccm loads", "ccm stores"),
    ),
    Assumption(
        "memories",
        "Every memory of the board's file is there and keeps what is written",
        "RM0090 section 2.3 and the data sheet's table 2",
        "boards/stm32f439.toml",
        "Patterns at both ends of each",
        ("ccm", "sram?"),
    ),
    Assumption(
        "SDRAM",
        "The memory outside the chip keeps what is written with its data sheet's timings at 84 MHz",
        "RM0090 section 37.7.3, UM1670 table 6, the data sheet of the IS42S16400J",
        "boards/stm32f429i_disc1.toml",
        "A run whose activations are there, such as `--hil-scenario=face_c`, has right outputs",
        ("sdram",),
    ),
    Assumption(
        "flashing",
        "pyOCD's algorithm erases and programs within its time-outs: a sector of 128 KiB in 2 s",
        "the data sheet's flash characteristics",
        "hil/targets/debugger.py",
        "`time.flash` of runs on the board",
        ("flashing",),
    ),
)
_FOUND = {False: State.FAILS, None: State.OPEN, True: State.HOLDS}


def fill(findings: Iterable[Finding]) -> list[Entry]:
    """Say of each assumption what a board's findings say of it."""
    known = list(findings)
    return [_entry(one, [found for found in known if _shows(one, found)]) for one in ASSUMPTIONS]


def markdown() -> str:
    """Return the table of docs/silicon.md."""
    heads = "| | taken for granted | evidence | used in | what would show it | `hil boards check` |"
    return "\n".join((heads, "|---|---|---|---|---|---|", *map(_line, ASSUMPTIONS)))


def _line(one: Assumption) -> str:
    looks = ", ".join(f"`{look}`" for look in one.looks) or "by hand"
    return f"| {one.name} | {one.claim} | {one.evidence} | `{one.where}` | {one.shows} | {looks} |"


def _shows(one: Assumption, found: Finding) -> bool:
    return any(fnmatchcase(found.name, look) for look in one.looks)


def _entry(one: Assumption, findings: list[Finding]) -> Entry:
    said = {found.good for found in findings} or {None}
    worst = next(good for good in (False, None, True) if good in said)
    return Entry(one, _FOUND[worst], tuple(findings))
