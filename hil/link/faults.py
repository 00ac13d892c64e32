"""A fault exception in words. Source: PM0214 sections 2.3.2 and 4.4 (CFSR, HFSR)."""

from hil.link.messages import Fault, Start

_EXCEPTIONS = {
    2: "NMI",
    3: "HardFault",
    4: "MemManage",
    5: "BusFault",
    6: "UsageFault",
    11: "SVCall",
    12: "DebugMonitor",
    14: "PendSV",
    15: "SysTick",
}
_CFSR = {
    0: "instruction fetch from memory that holds no code (IACCVIOL)",
    1: "data access violation (DACCVIOL)",
    3: "memory fault on return from an exception (MUNSTKERR)",
    4: "memory fault on entry to an exception: stack overflow? (MSTKERR)",
    5: "memory fault while saving FPU registers (MLSPERR)",
    8: "bus error on instruction fetch (IBUSERR)",
    9: "bus error on data access (PRECISERR)",
    10: "bus error on an earlier write (IMPRECISERR)",
    11: "bus error on return from an exception (UNSTKERR)",
    12: "bus error on entry to an exception: stack overflow? (STKERR)",
    13: "bus error while saving FPU registers (LSPERR)",
    16: "undefined instruction (UNDEFINSTR)",
    17: "branch to an address without the Thumb bit (INVSTATE)",
    18: "invalid return from an exception (INVPC)",
    19: "FPU or coprocessor instruction while it is off (NOCP)",
    24: "unaligned access (UNALIGNED)",
    25: "division by zero (DIVBYZERO)",
}
_STARTS = {
    Start.CRYSTAL: (
        "the crystal never swings: RCC_CR.HSERDY stays 0",
        'check the crystal, or what drives OSC_IN, or say source = "hsi" in the board\'s [clock]',
    ),
    Start.PLL: (
        "the PLL never locks: RCC_CR.PLLRDY stays 0",
        "is [clock] of the board's file right, and the supply stable?",
    ),
    Start.WAIT_STATES: (
        "the flash never takes its wait states: FLASH_ACR.LATENCY stays as it was",
        "is it the chip of the board's file?",
    ),
    Start.SWITCH: (
        "the core's clock never switches to the PLL: RCC_CFGR.SWS stays as it was",
        "is it the chip of the board's file?",
    ),
    Start.SDRAM: (
        "the SDRAM controller stays busy: FMC_SDSR.BUSY does not fall",
        "are [memory.sdram] and its pins of the board's file right?",
    ),
}
_HFSR = {1: "vector table read error (VECTTBL)", 31: "breakpoint without a debugger (DEBUGEVT)"}
_CORE = [*(f"r{number}" for number in range(13)), "sp", "lr", "pc"]
_MMARVALID, _BFARVALID = 1 << 7, 1 << 15


def at_start(fault: Fault) -> tuple[str, str] | None:
    """Return what of the chip never came after reset and what to do, None for an exception."""
    missing = next((one for one in Start if one == fault.exception), None)
    return _STARTS[missing] if missing is not None else None


def causes(fault: Fault) -> list[str]:
    """Return what the fault status registers say, most specific first."""
    found = [words for bit, words in _CFSR.items() if fault.cfsr >> bit & 1]
    found += [words for bit, words in _HFSR.items() if fault.hfsr >> bit & 1]
    return found or ["no cause in CFSR or HFSR"]


def describe(fault: Fault) -> str:
    """Return one line: exception, causes, where in the code, and which address if one is known."""
    name = _EXCEPTIONS.get(fault.exception, f"exception {fault.exception}")
    cause = f"broken contract, {fault.note}" if fault.note else ", ".join(causes(fault))
    text = f"{name}: {cause}; pc=0x{fault.pc:08X} lr=0x{fault.lr:08X}"
    if fault.cfsr & _BFARVALID:
        text += f" address=0x{fault.bfar:08X}"
    elif fault.cfsr & _MMARVALID:
        text += f" address=0x{fault.mmfar:08X}"
    return text


def core_registers(fault: Fault) -> dict[str, int]:
    """Return the values of r0 to r12, sp, lr and pc where the core crashed."""
    return {name: getattr(fault, name) for name in _CORE}


def registers(fault: Fault) -> str:
    """Return all registers, four to a line."""
    names = [*_CORE, "xpsr"]
    names += ["exc_return", "cfsr", "hfsr", "mmfar", "bfar"]
    cells = [f"{name:>11} 0x{getattr(fault, name):08X}" for name in names]
    return "\n".join("".join(cells[i : i + 4]) for i in range(0, len(cells), 4))
