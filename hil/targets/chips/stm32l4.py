"""An STM32L4+ behind a debugger. Source: RM0432 sections 3.7, 6.4, 57.6 and 58."""

from collections.abc import Iterator
from dataclasses import replace

from hil.config.board import Board, Memory
from hil.targets.chips import stm32l4_algorithm
from hil.targets.chips.facts import (
    AHB_SHIFTS,
    Bench,
    ChipFacts,
    ClockTree,
    FlashAlgorithm,
    OptionBytes,
    Places,
    Ports,
    ReadWord,
    ResetCauses,
    SerialRegisters,
    Uart,
)

_RCC_CR, _RCC_CFGR, _RCC_PLLCFGR, _RCC_CSR = 0x4002_1000, 0x4002_1008, 0x4002_100C, 0x4002_1094
_FLASH_ACR, _OPTR = 0x4002_2000, 0x4002_2020
_WRITE_PROTECTIONS = ((0x4002_202C, 0x4002_2030), (0x4002_204C, 0x4002_2050))
_HSI_HZ = 16_000_000
_MSI_KHZ = (100, 200, 400, 800, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 48000)
_MSI, _HSI, _HSE, _PLL = range(4)
_BANK_PAGES = 256
_ONE_BANK_READ_BITS = 128


def with_banks(board: Board, banks: int) -> Board:
    """Return a board with its flash in one bank or two, whatever its file says.

    A bank has 256 pages; in two banks the flash reads 64 bits at once, in one 128: RM0432
    section 3.3.1.

    Args:
        board: of an STM32L4.
        banks: 1 or 2.
    """
    memories = tuple(_in_banks(one, banks) for one in board.memories)
    return replace(board, memories=memories)


def _in_banks(memory: Memory, banks: int) -> Memory:
    if memory.flash is None:
        return memory
    pages = banks * _BANK_PAGES
    sectors = (memory.bytes // pages,) * pages
    flash = replace(memory.flash, sectors=sectors, read_bits=_ONE_BANK_READ_BITS // banks)
    return replace(memory, flash=flash)


def _clock_tree(board: Board, word: ReadWord) -> ClockTree:
    configuration = word(_RCC_CFGR)
    source = configuration >> 2 & 3
    core_hz = _pll_hz(board, word) if source == _PLL else _hz(source, board, word)
    shift = AHB_SHIFTS.get(configuration >> 4 & 15, 0)
    return ClockTree.with_access(core_hz >> shift, word(_FLASH_ACR))


def _hz(source: int, board: Board, word: ReadWord) -> int:
    if source != _MSI:
        return _HSI_HZ if source == _HSI else board.hse_hz
    control = word(_RCC_CR)
    index = control >> 4 & 15 if control & 1 << 3 else word(_RCC_CSR) >> 8 & 15
    return 1000 * _MSI_KHZ[min(index, len(_MSI_KHZ) - 1)]


def _pll_hz(board: Board, word: ReadWord) -> int:
    setting = word(_RCC_PLLCFGR)
    source = setting & 3
    if not source:
        return 0
    divided = ((setting >> 4 & 15) + 1) * 2 * ((setting >> 25 & 3) + 1)
    return _hz(source - 1, board, word) * (setting >> 8 & 127) // divided


def _option_bytes(board: Board, word: ReadWord) -> OptionBytes:
    sectors = len(board.flash_sectors)
    ranges = [[word(at) for at in pair] for pair in _WRITE_PROTECTIONS]
    return OptionBytes(
        tuple(_obstacles(board, word(_OPTR))),
        frozenset(
            sector
            for sector in range(sectors)
            if any(
                one & 0xFF <= sector % _BANK_PAGES <= one >> 16 & 0xFF
                for one in ranges[sector // _BANK_PAGES]
            )
        ),
        "empty the ranges of FLASH_WRP1AR, WRP1BR, WRP2AR and WRP2BR: first page 0xff, last 0x00",
    )


def _obstacles(board: Board, option: int) -> Iterator[tuple[str, str]]:
    """Yield what FLASH_OPTR keeps a chip from, and what mends it."""
    if option & 0xFF != 0xAA:
        yield (
            "read-out protection is on (RDP), so that no debugger reaches the flash",
            "set RDP to 0xAA, which erases all of the flash, then switch the power off and on",
        )
    if not option >> 16 & 1:
        yield (
            "the watchdog runs from reset on (IWDG_SW = 0) and would end every long inference",
            "set IWDG_SW to 1; the firmware feeds no watchdog",
        )
    dual, wanted = bool(option >> 22 & 1), board.flash_read_bits < _ONE_BANK_READ_BITS
    if dual and option >> 20 & 1:
        yield (
            "the chip starts what the second bank holds (BFB2 = 1), not the image",
            "set BFB2 to 0",
        )
    if dual != wanted:
        banks = ("one bank", "two banks")
        found = f"the flash stands in {banks[dual]} (DBANK = {dual:d})"
        yield (
            f"{found}, the board's file says {banks[wanted]}",
            f"set DBANK to {wanted:d}, or sectors and read_bits in the board's file",
        )


CHIP = ChipFacts(
    places=Places(id_code=0xE004_2000, flash_kib=0x1FFF_75E0, unique_id=0x1FFF_7590),
    resets=ResetCauses(
        register=_RCC_CSR,
        forget=1 << 23,
        of_firmware={
            24: "the firewall",
            28: "a software reset",
            29: "the independent watchdog",
            30: "the window watchdog",
            31: "low power",
        },
        of_supply={25: "loading option bytes", 26: "the reset pin", 27: "brown-out"},
    ),
    ports=Ports(address=0x4800_0000, enable=0x4002_104C),
    clock_tree=_clock_tree,
    pll_is_internal=lambda word: word(_RCC_PLLCFGR) & 3 == _HSI + 1,
    option_bytes=_option_bytes,
    algorithm=FlashAlgorithm(stm32l4_algorithm.ALGORITHM, stm32l4_algorithm.PAGE_BYTES),
    bench=Bench(  # RM0432 sections 3.7.1, 5.4.2, 6.4, 49.8 and 50.7
        control=_RCC_CR,
        configuration=_RCC_CFGR,
        takes_hse=2,
        reset_hz=4_000_000,
        access=_FLASH_ACR,
        serial=SerialRegisters(
            control=0x00, baud=0x0C, status=0x1C, received=0x24, sent=0x28, on=1 << 0
        ),
        uarts={
            "usart1": Uart((0x4002_1060, 14), 0x4001_3800),
            "usart2": Uart((0x4002_1058, 17), 0x4000_4400),
            "usart3": Uart((0x4002_1058, 18), 0x4000_4800),
            "lpuart1": Uart((0x4002_105C, 0), 0x4000_8000, alternate=8, scale=256),
        },
        hsi=(1 << 8, 1),
        pins_need=((0x4002_1058, 1 << 28), (0x4000_7004, 1 << 9)),  # PWR; IOSV: PG2 to PG15
    ),
)
