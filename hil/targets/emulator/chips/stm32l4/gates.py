"""Which bit of RCC gives which peripheral of an STM32L4+ its clock, and which holds it in reset.

Source: RM0432 sections 2.2 (addresses) and 6.4.15 to 6.4.21 (bits); every address and bit here is
also as in ST's stm32l4r5xx.h (cmsis_device_l4 at a253075).
"""

from hil.targets.emulator.chips.stm32.gates import BLOCK_BYTES, Gate, Unmodelled, blocks

_PORTS = {f"GPIO{port}": Gate("AHB2", (bit,)) for bit, port in enumerate("ABCDEFGHI")}
GATES = _PORTS | {
    "TIM2": Gate("APB1", (0,)),
    "TIM5": Gate("APB1", (3,)),
    "USART2": Gate("APB1", (17,)),
    "USART3": Gate("APB1", (18,)),
    "PWR": Gate("APB1", (28,)),
    "RNG": Gate("AHB2", (18,)),
    "LPUART1": Gate("APB1_2", (0,)),
    "USART1": Gate("APB2", (14,)),
}
"""The modelled peripherals that have to be switched on, by name; the others always work."""

_APB1 = {
    "TIM3": (0x0400, 1),
    "TIM4": (0x0800, 2),
    "TIM6": (0x1000, 4),
    "TIM7": (0x1400, 5),
    "WWDG": (0x2C00, 11),
    "SPI2": (0x3800, 14),
    "SPI3": (0x3C00, 15),
    "UART4": (0x4C00, 19),
    "UART5": (0x5000, 20),
    "I2C1": (0x5400, 21),
    "I2C2": (0x5800, 22),
    "I2C3": (0x5C00, 23),
    "CRS": (0x6000, 24),
    "CAN1": (0x6400, 25),
    "DAC": (0x7400, 29),
    "OPAMP": (0x7800, 30),
    "LPTIM1": (0x7C00, 31),
}
_APB1_2 = {"I2C4": (0x8400, 1), "LPTIM2": (0x9400, 5)}
_APB2 = {
    "SYSCFG": (0x0000, 0),
    "FIREWALL": (0x1C00, 7),
    "TIM1": (0x2C00, 11),
    "SPI1": (0x3000, 12),
    "TIM8": (0x3400, 13),
    "TIM15": (0x4000, 16),
    "TIM16": (0x4400, 17),
    "TIM17": (0x4800, 18),
    "SAI1": (0x5400, 21),
    "SAI2": (0x5800, 22),
    "DFSDM1": (0x6000, 24),
}


UNMODELLED = {
    **blocks("APB1", 0x4000_0000, _APB1),
    **blocks("APB1_2", 0x4000_0000, _APB1_2),
    **blocks("APB2", 0x4001_0000, _APB2),
    "DMA1": Unmodelled(0x4002_0000, BLOCK_BYTES, Gate("AHB1", (0,))),
    "DMA2": Unmodelled(0x4002_0400, BLOCK_BYTES, Gate("AHB1", (1,))),
    "DMAMUX1": Unmodelled(0x4002_0800, BLOCK_BYTES, Gate("AHB1", (2,))),
    "CRC": Unmodelled(0x4002_3000, BLOCK_BYTES, Gate("AHB1", (12,))),
    "TSC": Unmodelled(0x4002_4000, BLOCK_BYTES, Gate("AHB1", (16,))),
    "DMA2D": Unmodelled(0x4002_B000, 3 * BLOCK_BYTES, Gate("AHB1", (17,))),
    "OTG_FS": Unmodelled(0x5000_0000, 0x4_0000, Gate("AHB2", (12,))),
    "ADC": Unmodelled(0x5004_0000, BLOCK_BYTES, Gate("AHB2", (13,))),
    "DCMI": Unmodelled(0x5005_0000, BLOCK_BYTES, Gate("AHB2", (14,))),
    "OCTOSPIM": Unmodelled(0x5006_1C00, BLOCK_BYTES, Gate("AHB2", (20,))),
    "SDMMC1": Unmodelled(0x5006_2400, BLOCK_BYTES, Gate("AHB2", (22,))),
    "FMC": Unmodelled(0xA000_0000, 4 * BLOCK_BYTES, Gate("AHB3", (0,))),
    "OCTOSPI1": Unmodelled(0xA000_1000, BLOCK_BYTES, Gate("AHB3", (8,))),
    "OCTOSPI2": Unmodelled(0xA000_1400, BLOCK_BYTES, Gate("AHB3", (9,))),
}
"""The others with a clock of their own, by name; RTC, EXTI and the watchdog have none."""
