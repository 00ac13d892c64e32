"""Which bit of RCC gives which peripheral its clock, and which holds it in reset.

Source: RM0090 sections 2.3 (addresses) and 6.3.5 to 6.3.14 (bits), for STM32F42x and F43x.
"""

from hil.targets.emulator.chips.stm32.gates import Gate, Unmodelled, blocks


def _gates(bus: str, **bits: int) -> dict[str, Gate]:
    return {name: Gate(bus, (bit,)) for name, bit in bits.items()}


GATES = (
    {f"GPIO{port}": Gate("AHB1", (bit,)) for bit, port in enumerate("ABCDEFGHIJK")}
    | _gates("AHB1", CRC=12, BKPSRAM=18, DMA1=21, DMA2=22)
    | _gates("APB1", TIM2=0, TIM3=1, TIM4=2, TIM5=3, TIM6=4, TIM7=5, TIM12=6, TIM13=7, TIM14=8)
    | _gates("APB1", WWDG=11, USART2=17, USART3=18, UART4=19, UART5=20, PWR=28, DAC=29)
    | _gates("APB1", UART7=30, UART8=31)
    | _gates("APB2", TIM1=0, TIM8=1, USART1=4, USART6=5, SYSCFG=14, TIM9=16, TIM10=17, TIM11=18)
    | {f"ADC{number}": Gate("APB2", (7 + number,), reset_bit=8) for number in (1, 2, 3)}
    | {"ADC": Gate("APB2", (8, 9, 10))}
    | _gates("AHB2", RNG=6)
    | _gates("AHB3", FMC=0)
)
"""The modelled peripherals that have to be switched on, by name; the others always work."""

_KIB = 0x400
_APB1 = {
    "SPI2": (0x3800, 14),
    "SPI3": (0x3C00, 15),
    "I2C1": (0x5400, 21),
    "I2C2": (0x5800, 22),
    "I2C3": (0x5C00, 23),
    "CAN1": (0x6400, 25),
    "CAN2": (0x6800, 26),
}
_APB2 = {
    "SDIO": (0x2C00, 11),
    "SPI1": (0x3000, 12),
    "SPI4": (0x3400, 13),
    "SPI5": (0x5000, 20),
    "SPI6": (0x5400, 21),
    "SAI1": (0x5800, 22),
    "LTDC": (0x6800, 26),
}
UNMODELLED = {
    **blocks("APB1", 0x4000_0000, _APB1),
    **blocks("APB2", 0x4001_0000, _APB2),
    "ETH": Unmodelled(0x4002_8000, 5 * _KIB, Gate("AHB1", (25,))),
    "DMA2D": Unmodelled(0x4002_B000, 3 * _KIB, Gate("AHB1", (23,))),
    "OTG_HS": Unmodelled(0x4004_0000, 256 * _KIB, Gate("AHB1", (29,))),
    "OTG_FS": Unmodelled(0x5000_0000, 256 * _KIB, Gate("AHB2", (7,))),
    "DCMI": Unmodelled(0x5005_0000, _KIB, Gate("AHB2", (0,))),
    "CRYP": Unmodelled(0x5006_0000, _KIB, Gate("AHB2", (4,))),
    "HASH": Unmodelled(0x5006_0400, _KIB, Gate("AHB2", (5,))),
    "FMC": Unmodelled(0xA000_0000, 4 * _KIB, Gate("AHB3", (0,))),
}
"""The others with a clock of their own, by name."""

_NOT_IN_F401_F411 = frozenset(
    {
        "GPIOF", "GPIOG", "GPIOI", "GPIOJ", "GPIOK", "USART3", "UART4", "UART5", "UART7", "UART8",
        "TIM6", "TIM7", "TIM8", "TIM12", "TIM13", "TIM14", "RNG", "CAN1", "CAN2", "DAC", "DCMI",
        "ETH", "DMA2D", "LTDC", "CRYP", "HASH", "FMC", "OTG_HS", "SPI6", "SAI1", "BKPSRAM", "ADC2",
        "ADC3",
    }
)  # fmt: skip
ABSENT = {  # by the part's number in DBGMCU_IDCODE: the data sheets' tables of peripherals
    0x413: frozenset(  # F405, F407
        {
            "GPIOJ", "GPIOK", "UART7", "UART8", "SPI4", "SPI5", "SPI6", "SAI1", "LTDC", "DMA2D",
        }
    ),
    0x421: frozenset(  # F446
        {
            "GPIOI", "GPIOJ", "GPIOK", "UART7", "UART8", "RNG", "ETH", "LTDC", "DMA2D", "SPI5",
            "SPI6", "CRYP", "HASH",
        }
    ),
    0x423: _NOT_IN_F401_F411 | {"SPI5"},  # F401xB, xC
    0x433: _NOT_IN_F401_F411 | {"SPI5"},  # F401xD, xE
    0x431: _NOT_IN_F401_F411,  # F411
}  # fmt: skip
"""What parts with fewer peripherals than an F42x, F43x, F469 or F479 do not have."""
