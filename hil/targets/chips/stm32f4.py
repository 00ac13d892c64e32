"""An STM32F4 behind a debugger. Source: RM0090 sections 3.9, 7.3, 38.6 and 39."""

from collections.abc import Iterator

from hil.config.board import Board
from hil.targets.chips.facts import (
    AHB_SHIFTS,
    Bench,
    ChipFacts,
    ClockTree,
    OptionBytes,
    Places,
    Ports,
    ReadWord,
    ResetCauses,
    SerialRegisters,
    Uart,
)

_RCC_PLLCFGR, _RCC_CFGR, _FLASH_ACR = 0x4002_3804, 0x4002_3808, 0x4002_3C00
_PLLSRC = 1 << 22
_HSI_HZ = 16_000_000
_OPTCR, _OPTCR1 = 0x4002_3C14, 0x4002_3C18
_BANK_SECTORS = 12
_MIB = 1 << 20
_F42X_F43X = 0x419


def _clock_tree(board: Board, word: ReadWord) -> ClockTree:
    configuration, hse_hz = word(_RCC_CFGR), board.hse_hz
    source = configuration >> 2 & 3
    core_hz = _pll_hz(hse_hz, word(_RCC_PLLCFGR)) if source == 2 else (_HSI_HZ, hse_hz)[source & 1]
    shift = AHB_SHIFTS.get(configuration >> 4 & 15, 0)
    return ClockTree.with_access(core_hz >> shift, word(_FLASH_ACR))


def _pll_hz(hse_hz: int, setting: int) -> int:
    source = hse_hz if setting & _PLLSRC else _HSI_HZ
    divided = (setting & 63) * ((setting >> 16 & 3) + 1) * 2
    return source * (setting >> 6 & 511) // divided if divided else 0


def _option_bytes(board: Board, word: ReadWord) -> OptionBytes:
    sectors = len(board.flash_sectors)
    control = word(_OPTCR)
    registers = (control, word(_OPTCR1) if sectors > _BANK_SECTORS else 0)
    return OptionBytes(
        tuple(_obstacles(board, control)),
        frozenset(
            sector
            for sector in range(sectors)  # nWRP is active low
            if not registers[sector // _BANK_SECTORS] >> (16 + sector % _BANK_SECTORS) & 1
        ),
        "set their bits of nWRP in FLASH_OPTCR (OPTCR1 for 12 to 23)",
    )


def _obstacles(board: Board, control: int) -> Iterator[tuple[str, str]]:
    """Yield what FLASH_OPTCR keeps a chip from, and what mends it."""
    if control >> 8 & 0xFF != 0xAA:
        yield (
            "read-out protection is on (RDP), so that no debugger reaches the flash",
            "set RDP to 0xAA, which erases all of the flash, then switch the power off and on",
        )
    if not control >> 5 & 1:
        yield (
            "the watchdog runs from reset on (WDG_SW = 0) and would end every long inference",
            "set WDG_SW to 1; the firmware feeds no watchdog",
        )
    if control >> 4 & 1:
        yield (
            "the chip starts what the second bank holds (BFB2 = 1), not the image",
            "set BFB2 to 0",
        )
    if control >> 30 & 1 and board.dev_id == _F42X_F43X and board.flash.bytes == _MIB:
        yield (
            "1 MiB of flash stands in two banks (DB1M = 1), so that its sectors are others",
            "set DB1M to 0",
        )


CHIP = ChipFacts(
    places=Places(id_code=0xE004_2000, flash_kib=0x1FFF_7A22, unique_id=0x1FFF_7A10),
    resets=ResetCauses(
        register=0x4002_3874,
        forget=1 << 24,
        of_firmware={
            28: "a software reset",
            29: "the independent watchdog",
            30: "the window watchdog",
            31: "low power",
        },
        of_supply={25: "brown-out", 26: "the reset pin", 27: "power-on"},
    ),
    ports=Ports(address=0x4002_0000, enable=0x4002_3830),
    clock_tree=_clock_tree,
    pll_is_internal=lambda word: not word(_RCC_PLLCFGR) & _PLLSRC,
    option_bytes=_option_bytes,
    bench=Bench(  # RM0090 sections 3.9.1, 7.3 and 30.6
        control=0x4002_3800,
        configuration=0x4002_3808,
        takes_hse=1,
        reset_hz=16_000_000,
        access=0x4002_3C00,
        serial=SerialRegisters(
            control=0x0C, baud=0x08, status=0x00, received=0x04, sent=0x04, on=1 << 13
        ),
        uarts={
            "usart1": Uart((0x4002_3844, 4), 0x4001_1000),
            "usart2": Uart((0x4002_3840, 17), 0x4000_4400),
            "usart3": Uart((0x4002_3840, 18), 0x4000_4800),
        },
    ),
)
