"""CoreSight identification: the ROM table and each debug component's id registers.

Source: ARM DDI 0439D table 9-3; ARM IHI 0029 (component and peripheral ids).
"""

from hil.targets.emulator.core.registers import Peripheral, Register, constant

ROM_TABLE = 0xE00F_F000
ITM = 0xE000_0000
_COMPONENTS = {
    # base: peripheral id bytes 0 to 4
    0xE000_E000: (0x0C, 0xB0, 0x0B, 0x00, 0x04),  # SCS with FPU
    0xE000_1000: (0x02, 0xB0, 0x3B, 0x00, 0x04),  # DWT
    0xE000_2000: (0x03, 0xB0, 0x2B, 0x00, 0x04),  # FPB
    ITM: (0x01, 0xB0, 0x3B, 0x00, 0x04),
}
_ABSENT = (0xE004_0000, 0xE004_1000)  # TPIU and ETM: listed, marked as not present
_GENERIC_CLASS = (0x0D, 0xE0, 0x05, 0xB1)
_ROM_TABLE_CLASS = (0x0D, 0x10, 0x05, 0xB1)
_DESIGNER = 0x0A  # STMicroelectronics, with the bits of other bytes zero


def rom_table(part: int) -> list[Peripheral]:
    """Return the ROM table and the id registers of what it lists.

    Args:
        part: number of the part by its designer, 12 bits.
    """
    entries = [*((base, 1) for base in _COMPONENTS), *((base, 0) for base in _ABSENT)]
    table = {
        4 * index: constant((base - ROM_TABLE) & 0xFFFF_F000 | 2 | present)
        for index, (base, present) in enumerate(entries)
    }
    table |= _id_registers((part & 0xFF, part >> 8, _DESIGNER, 0, 0), _ROM_TABLE_CLASS)
    table[0xFCC] = constant(1)  # MEMTYPE: system memory can be reached through this port
    return [
        Peripheral("ROM", ROM_TABLE, table),
        *(Peripheral("ID", base, _id_registers(ids)) for base, ids in _COMPONENTS.items()),
    ]


def _id_registers(
    peripheral: tuple[int, ...], component: tuple[int, ...] = _GENERIC_CLASS
) -> dict[int, Register]:
    registers = {0xFE0 + 4 * i: constant(peripheral[i]) for i in range(4)}
    registers |= {0xFD0: constant(peripheral[4]), 0xFD4: constant(0), 0xFD8: constant(0)}
    registers |= {0xFDC: constant(0)}
    return registers | {0xFF0 + 4 * i: constant(component[i]) for i in range(4)}
