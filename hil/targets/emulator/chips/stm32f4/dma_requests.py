"""Which stream and channel of an STM32F4's DMA takes whose requests: RM0090 tables 42 and 43."""

from collections.abc import Iterator

_NONE = "-"
_DMA1 = """
SPI3_RX   -                 SPI3_RX          SPI2_RX            SPI2_TX            SPI3_TX     -                  SPI3_TX
I2C1_RX   -                 TIM7_UP          -                  TIM7_UP            I2C1_RX     I2C1_TX            I2C1_TX
TIM4_CH1  -                 I2S3_EXT_RX      TIM4_CH2           I2S2_EXT_TX        I2S3_EXT_TX TIM4_UP            TIM4_CH3
I2S3_EXT_RX TIM2_UP/TIM2_CH3 I2C3_RX         I2S2_EXT_RX        I2C3_TX            TIM2_CH1    TIM2_CH2/TIM2_CH4  TIM2_UP/TIM2_CH4
UART5_RX  USART3_RX         UART4_RX         USART3_TX          UART4_TX           USART2_RX   USART2_TX          UART5_TX
UART8_TX  UART7_TX          TIM3_CH4/TIM3_UP UART7_RX           TIM3_CH1/TIM3_TRIG TIM3_CH2    UART8_RX           TIM3_CH3
TIM5_CH3/TIM5_UP TIM5_CH4/TIM5_TRIG TIM5_CH1 TIM5_CH4/TIM5_TRIG TIM5_CH2           -           TIM5_UP            -
-         TIM6_UP           I2C2_RX          I2C2_RX            USART3_TX          DAC1        DAC2               I2C2_TX
"""  # noqa: E501 - as the manual prints it
_DMA2 = """
ADC1      -         TIM8_CH1/TIM8_CH2/TIM8_CH3 -        ADC1               -         TIM1_CH1/TIM1_CH2/TIM1_CH3 -
-         DCMI      ADC2                       ADC2     -                  SPI6_TX   SPI6_RX                    DCMI
ADC3      ADC3      -                          SPI5_RX  SPI5_TX            CRYP_OUT  CRYP_IN                    HASH_IN
SPI1_RX   -         SPI1_RX                    SPI1_TX  -                  SPI1_TX   -                          -
SPI4_RX   SPI4_TX   USART1_RX                  SDIO     -                  USART1_RX SDIO                       USART1_TX
-         USART6_RX USART6_RX                  SPI4_RX  SPI4_TX            -         USART6_TX                  USART6_TX
TIM1_TRIG TIM1_CH1  TIM1_CH2                   TIM1_CH1 TIM1_CH4/TIM1_TRIG TIM1_UP   TIM1_CH3                   -
-         TIM8_UP   TIM8_CH1                   TIM8_CH2 TIM8_CH3           SPI5_RX   SPI5_TX                    TIM8_CH4/TIM8_TRIG
"""  # noqa: E501 - as the manual prints it


def _read(table: str) -> Iterator[tuple[tuple[int, int], tuple[str, ...]]]:
    for channel, line in enumerate(table.strip().splitlines()):
        for stream, names in enumerate(line.split()):
            if names != _NONE:
                yield (stream, channel), tuple(names.split("/"))


REQUESTS = {"DMA1": dict(_read(_DMA1)), "DMA2": dict(_read(_DMA2))}
"""Names of requests, by controller, stream and channel."""
