"""pyOCD's flash algorithm for an STM32L4+, which its builtin targets lack.

The words are stm32l4_algorithm.c, compiled to run at `_CODE_AT`.
"""

from typing import Any

_LOAD_AT = 0x2000_0000
_CODE_AT = _LOAD_AT + 0x20
"""Behind eight words of which pyOCD uses the first: a BKPT that functions return to."""

_RETURN = (0xE00A_BE00, *[0] * 7)
CODE = (
    0x0008_F242, 0x0002_F2C4, 0x03C9_6881, 0xF24C_D4FC, 0x6081_31FA, 0xF1B1_68C1,
    0xDC09_3FFF, 0x1123_F240, 0x5167_F2C4, 0xF648_6001, 0xF6CC_11AB, 0x6001_51EF,
    0x0FC0_68C0, 0xF242_4770, 0xF2C4_0114, 0xF04F_0102, 0x2000_4200, 0x4770_600A,
    0x0010_F242, 0x0002_F2C4, 0x03C9_6801, 0xF24C_D4FC, 0x6001_31FA, 0x0104_F248,
    0xF248_6041, 0xF2C0_0104, 0x6041_0101, 0x03C9_6801, 0x2100_D4FC, 0x6800_6041,
    0x31FA_F24C, 0xBF18_4008, 0x4770_2001, 0x0110_F242, 0x0102_F2C4, 0x03D2_680A,
    0xF24C_D4FC, 0x600A_32FA, 0xF100_690A, 0x0252_4078, 0x020C_F04F, 0x220D_BF58,
    0x28FF_40D0, 0x0202_F04F, 0xBF88_B2C0, 0x0202_F640, 0x00C0_EA42, 0xF500_6048,
    0x6048_3080, 0x03C0_6808, 0x2000_D4FC, 0x6808_6048, 0x31FA_F24C, 0xBF18_4008,
    0x4770_2001, 0xF242_B5F0, 0xF2C4_0310, 0xBF00_0302, 0x03ED_681D, 0xF24C_D4FC,
    0xF04F_3EFA, 0xF8C3_0C00, 0xB1E1_E000, 0x2500_2401, 0x6816_605C, 0x502E_182F,
    0x8F6F_F3BF, 0x607E_6856, 0x03F6_681E, 0xF8C3_D4FC, 0x681E_C004, 0x0F0E_EA16,
    0x3508_D107, 0xF102_428D, 0xD3E9_0208, 0x0C00_F04F, 0xF04F_E001, 0x4660_0C01,
    0x0000_BDF0,
)  # fmt: skip
ENTRIES = {
    "init": 0x00,
    "uninit": 0x36,
    "erase_all": 0x48,
    "erase_page": 0x84,
    "program": 0xDC,
}
"""Where each function begins in the code."""

_THUMB = 1


def _entry(name: str) -> int:
    return _CODE_AT + ENTRIES[name] | _THUMB


ALGORITHM: dict[str, Any] = {
    "load_address": _LOAD_AT,
    "instructions": [*_RETURN, *CODE],
    "pc_init": _entry("init"),
    "pc_unInit": _entry("uninit"),
    "pc_eraseAll": _entry("erase_all"),
    "pc_erase_sector": _entry("erase_page"),
    "pc_program_page": _entry("program"),
    "static_base": _LOAD_AT + 0x200,
    "begin_stack": _LOAD_AT + 0x800,
    "page_buffers": [_LOAD_AT + 0x1000, _LOAD_AT + 0x2000],
    "min_program_length": 8,
    "analyzer_supported": True,
    "analyzer_address": _LOAD_AT + 0x3000,
}
PAGE_BYTES = 4096
"""What is programmed at one call. pyOCD's analyser says a page's number in 16 bits, counted from
address 0 on: pages of less than 4 KiB in flash have none."""
