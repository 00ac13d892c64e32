"""Channels, preload, directions, slaves and requests of timers: RM0090 sections 17 to 20.

The core stands by; timers run at 16 MHz.
"""

from collections.abc import Sequence

import pytest
from emulated import StillChip

TIM1, TIM2, TIM3 = 0x4001_0000, 0x4000_0000, 0x4000_0400
CR1, CR2, SMCR, DIER, SR, EGR, CCMR1, CCMR2, CCER = 0, 4, 8, 0xC, 0x10, 0x14, 0x18, 0x1C, 0x20
CNT, PSC, ARR, RCR, CCR1, CCR2, CCR3, BDTR = 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38, 0x3C, 0x44
DCR, DMAR = 0x48, 0x4C
CEN, UDIS, OPM, DOWN, ARPE, UG = 1, 2, 8, 16, 128, 1
UIF, CC1IF, CC2IF, TIF, CC1OF = 1, 2, 4, 64, 1 << 9
TOGGLE, PWM_1, PWM_2, PRELOADED = 3 << 4, 6 << 4, 7 << 4, 8
GPIOA, GPIOC = 0x4002_0000, 0x4002_0800


@pytest.fixture
def chip() -> StillChip:
    return StillChip()


def _route(chip: StillChip, port: int, pin: int, function: int) -> None:
    mode, select = port, port + (0x20 if pin < 8 else 0x24)
    chip.write(mode, chip.read(mode) & ~(3 << 2 * pin) | 2 << 2 * pin)
    chip.write(select, chip.read(select) | function << 4 * (pin % 8))


def _start(chip: StillChip, timer: int, reload: int, control: int = 0) -> None:
    chip.write(timer + ARR, reload)
    chip.write(timer + CR1, control | CEN)


def test_a_timer_counts_down(chip: StillChip) -> None:
    _start(chip, TIM3, 99, DOWN)
    chip.write(TIM3 + CNT, 10)
    chip.wait(4)
    assert chip.read(TIM3 + CNT) == 6
    chip.wait(7)
    assert chip.read(TIM3 + CNT) == 99
    assert chip.read(TIM3 + SR) & UIF


def test_a_centred_timer_counts_up_and_down(chip: StillChip) -> None:
    _start(chip, TIM3, 100, 1 << 5)
    chip.wait(90)
    assert chip.read(TIM3 + CNT) == 90
    assert chip.read(TIM3 + SR) & UIF == 0
    chip.wait(20)
    assert chip.read(TIM3 + CNT) == 90
    assert chip.read(TIM3 + SR) & UIF
    chip.write(TIM3 + SR, 0)
    chip.wait(89)
    assert chip.read(TIM3 + SR) & UIF == 0
    chip.wait(2)
    assert chip.read(TIM3 + CNT) == 1
    assert chip.read(TIM3 + SR) & UIF


def test_a_centred_timer_whose_reload_value_shrinks_goes_on_from_its_count(
    chip: StillChip,
) -> None:
    _start(chip, TIM3, 100, 1 << 5)
    chip.wait(150)
    assert chip.read(TIM3 + CNT) == 50  # on its way down
    chip.write(TIM3 + ARR, 60)
    assert chip.read(TIM3 + CNT) == 50
    chip.wait(10)
    assert chip.read(TIM3 + CNT) == 40
    chip.write(TIM3 + ARR, 20)
    assert chip.read(TIM3 + CNT) == 20
    chip.wait(10)
    assert chip.read(TIM3 + CNT) == 10


def test_basic_timers_count_up_only_and_are_no_slaves(chip: StillChip) -> None:
    """RM0090 sections 19.4 and 20.4: DIR, CMS and SMCR are those of the larger timers."""
    for timer, has_slave_mode in ((0x4000_1000, False), (0x4001_4400, False), (0x4001_4000, True)):
        chip.write(timer + CR1, DOWN | 3 << 5 | CEN)
        chip.write(timer + SMCR, 5)
        assert (chip.read(timer + CR1), chip.read(timer + SMCR) == 5) == (CEN, has_slave_mode)


def test_a_preloaded_reload_value_waits_for_the_update(chip: StillChip) -> None:
    _start(chip, TIM3, 99, ARPE)
    chip.write(TIM3 + EGR, UG)
    chip.write(TIM3 + ARR, 9)
    chip.write(TIM3 + SR, 0)
    chip.wait(50)
    assert chip.read(TIM3 + CNT) == 50
    chip.wait(65)
    assert chip.read(TIM3 + CNT) == 5


def test_a_preloaded_compare_value_waits_for_the_update(chip: StillChip) -> None:
    chip.write(TIM3 + CCMR1, PRELOADED)
    _start(chip, TIM3, 99)
    chip.write(TIM3 + EGR, UG)
    chip.write(TIM3 + CCR1, 50)
    chip.write(TIM3 + SR, 0)
    chip.wait(60)
    assert chip.read(TIM3 + SR) & CC1IF == CC1IF * 0
    chip.wait(100)
    assert chip.read(TIM3 + SR) & CC1IF


def test_udis_has_no_updates(chip: StillChip) -> None:
    _start(chip, TIM3, 9, UDIS)
    chip.wait(100)
    assert chip.read(TIM3 + SR) & UIF == 0


def test_repetition_leaves_updates_out(chip: StillChip) -> None:
    chip.write(TIM1 + RCR, 2)
    chip.write(TIM1 + ARR, 9)
    chip.write(TIM1 + EGR, UG)
    chip.write(TIM1 + SR, 0)
    chip.write(TIM1 + CR1, CEN)
    chip.wait(29)
    assert chip.read(TIM1 + SR) & UIF == 0
    chip.wait(1)
    assert chip.read(TIM1 + SR) & UIF


def test_a_reload_value_of_zero_holds_the_counter(chip: StillChip) -> None:
    _start(chip, TIM3, 0)
    chip.wait(100)
    assert (chip.read(TIM3 + CNT), chip.read(TIM3 + SR) & UIF) == (0, 0)


@pytest.mark.parametrize(("mode", "levels"), [(PWM_1, (1, 0)), (PWM_2, (0, 1))])
def test_pwm_is_a_level_on_the_pin(chip: StillChip, mode: int, levels: tuple[int, int]) -> None:
    _route(chip, GPIOC, 6, 2)
    chip.write(TIM3 + CCMR1, mode)
    chip.write(TIM3 + CCR1, 30)
    chip.write(TIM3 + CCER, 1)
    _start(chip, TIM3, 99)
    chip.wait(10)
    assert chip.chip.pins.level("PC6") == levels[0]
    chip.wait(40)
    assert chip.chip.pins.level("PC6") == levels[1]
    assert chip.read(GPIOC + 0x10) >> 6 & 1 == levels[1]
    chip.write(TIM3 + CCER, 0b11)
    assert chip.chip.pins.level("PC6") != levels[1]
    chip.write(TIM3 + CCER, 0)
    assert not chip.chip.pins.level("PC6")


def test_an_advanced_timer_puts_nothing_out_without_moe(chip: StillChip) -> None:
    _route(chip, GPIOA, 8, 1)
    chip.write(TIM1 + CCMR1, PWM_1)
    chip.write(TIM1 + CCR1, 50)
    chip.write(TIM1 + CCER, 1)
    _start(chip, TIM1, 99)
    assert not chip.chip.pins.level("PA8")
    chip.write(TIM1 + BDTR, 1 << 15)
    assert chip.chip.pins.level("PA8")


def test_a_compare_value_has_the_bits_of_its_counter(chip: StillChip) -> None:
    """RM0090 sections 18.4.13 and 18.4.14: programs add to CCR1 and leave the carry to it."""
    for timer, value in ((TIM3, 0x0234), (TIM2, 0x1_0234)):
        chip.write(timer + CCR1, 0x1_0234)
        assert chip.read(timer + CCR1) == value


def test_toggle_changes_the_pin_at_each_match(chip: StillChip) -> None:
    _route(chip, GPIOC, 6, 2)
    chip.write(TIM3 + CCMR1, TOGGLE)
    chip.write(TIM3 + CCR1, 50)
    chip.write(TIM3 + CCER, 1)
    _start(chip, TIM3, 99)
    seen = []
    for _ in range(4):
        chip.wait(100)
        seen.append(chip.chip.pins.level("PC6"))
    assert seen == [True, False, True, False]


@pytest.mark.parametrize(
    ("polarity", "captured"), [(0, 100), (0b10, 140), (0b1010, 140)],
    ids=["rising", "falling", "both"],
)  # fmt: skip
def test_an_edge_is_captured(chip: StillChip, polarity: int, captured: int) -> None:
    _route(chip, GPIOA, 6, 2)
    chip.write(TIM3 + CCMR1, 1)
    chip.write(TIM3 + CCER, 1 | polarity)
    _start(chip, TIM3, 0xFFFF)
    chip.wait(100)
    chip.chip.pins.drive("PA6", level=True)
    chip.wait(40)
    chip.chip.pins.drive("PA6", level=False)
    assert chip.read(TIM3 + SR) & CC1IF
    assert bool(chip.read(TIM3 + SR) & CC1OF) == (polarity == 0b1010)
    assert chip.read(TIM3 + CCR1) == captured
    assert chip.read(TIM3 + SR) & CC1IF == 0  # reading it clears the flag


def test_a_capture_prescaler_takes_each_second_edge(chip: StillChip) -> None:
    _route(chip, GPIOA, 6, 2)
    chip.write(TIM3 + CCMR1, 1 | 1 << 2)
    chip.write(TIM3 + CCER, 1)
    _start(chip, TIM3, 0xFFFF)
    for _ in range(2):
        assert chip.read(TIM3 + SR) & CC1IF == 0
        chip.chip.pins.drive("PA6", level=True)
        chip.chip.pins.drive("PA6", level=False)
    assert chip.read(TIM3 + SR) & CC1IF


def test_pwm_input_measures_period_and_width(chip: StillChip) -> None:
    """Section 18.3.6: both channels on TI1, and the counter reset by its rising edge."""
    _route(chip, GPIOA, 6, 2)
    chip.write(TIM3 + CCMR1, 1 | 2 << 8)
    chip.write(TIM3 + CCER, 1 | 0b11 << 4)
    chip.write(TIM3 + SMCR, 5 << 4 | 4)
    _start(chip, TIM3, 0xFFFF)
    for _ in range(3):
        chip.chip.pins.drive("PA6", level=True)
        chip.wait(300)
        chip.chip.pins.drive("PA6", level=False)
        chip.wait(700)
    assert (chip.read(TIM3 + CCR1), chip.read(TIM3 + CCR2)) == (1000, 300)


def test_dma_bursts_fill_several_registers_at_each_event(chip: StillChip) -> None:
    """RM0090 section 18.4.20: DMAR stands for DBL + 1 registers, from DBA on."""
    table, stream = 0x2000_0000, 0x4002_6010 + 2 * 0x18  # TIM3_UP: DMA1, stream 2, channel 5
    for at in range(8):
        chip.write(table + 4 * at, 10 * (at + 1))
    chip.write(TIM3 + DCR, 3 << 8 | CCR1 // 4)
    for offset, value in ((4, 8), (8, TIM3 + DMAR), (0xC, table)):
        chip.write(stream + offset, value)
    chip.write(stream, 5 << 25 | 2 << 13 | 2 << 11 | 1 << 10 | 1 << 6 | 1)
    chip.write(TIM3 + DIER, 1 << 8)
    _start(chip, TIM3, 999)
    chip.wait(1100)
    assert [chip.read(TIM3 + CCR1 + 4 * at) for at in range(4)] == [10, 20, 30, 40]
    chip.wait(500)
    assert chip.read(stream + 4) == 4  # one event, one burst
    chip.wait(500)
    assert [chip.read(TIM3 + CCR1 + 4 * at) for at in range(4)] == [50, 60, 70, 80]


def test_a_timer_is_the_clock_of_another(chip: StillChip) -> None:
    """Section 18.3.15: TIM2's updates, its TRGO, are what TIM3 counts."""
    chip.write(TIM2 + CR2, 2 << 4)
    chip.write(TIM3 + SMCR, 1 << 4 | 7)
    chip.write(TIM3 + DIER, 1)
    _start(chip, TIM3, 4)
    _start(chip, TIM2, 999)
    chip.wait(3500)
    assert chip.read(TIM3 + CNT) == 3
    assert chip.pending == set()
    chip.wait(1600)
    assert chip.read(TIM3 + CNT) == 0
    assert chip.pending == {29}


def test_a_trigger_starts_a_timer(chip: StillChip) -> None:
    chip.write(TIM2 + CR2, 1 << 4)
    chip.write(TIM3 + SMCR, 1 << 4 | 6)
    chip.write(TIM3 + ARR, 999)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 0
    _start(chip, TIM2, 999)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 100
    assert chip.read(TIM3 + CR1) & CEN
    assert chip.read(TIM3 + SR) & TIF


def test_a_gated_timer_counts_while_its_master_runs(chip: StillChip) -> None:
    chip.write(TIM2 + CR2, 1 << 4)
    chip.write(TIM3 + SMCR, 1 << 4 | 5)
    _start(chip, TIM3, 999)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 0
    _start(chip, TIM2, 999)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 100


def test_updates_move_a_buffer_into_a_register(chip: StillChip) -> None:
    """A waveform by DMA: TIM3_UP on stream 2 of DMA1, channel 5."""
    stream = 0x4002_6000 + 0x10 + 0x18 * 2
    for at, value in enumerate((10, 20, 30)):
        chip.write(0x2000_1000 + 4 * at, value)
    chip.write(TIM3 + DIER, 1 << 8)
    chip.write(stream + 4, 3)
    chip.write(stream + 8, TIM3 + CCR1)
    chip.write(stream + 12, 0x2000_1000)
    chip.write(stream, 5 << 25 | 2 << 13 | 2 << 11 | 1 << 10 | 1 << 8 | 1 << 6 | 1)
    _start(chip, TIM3, 999)
    seen = []
    for _ in range(5):
        chip.wait(1000)
        chip.wait(10)
        seen.append(chip.read(TIM3 + CCR1))
    assert seen == [10, 20, 30, 10, 20]


def test_tim5_measures_the_internal_32_khz_oscillator(chip: StillChip) -> None:
    """Section 6.2.11: TI4_RMP connects LSI to channel 4 of TIM5; ST's IWDG example does so."""
    tim5 = 0x4000_0C00
    chip.write(tim5 + 0x50, 1 << 6)
    chip.write(tim5 + CCMR2, (1 | 3 << 2) << 8)
    chip.write(tim5 + CCER, 1 << 12)
    chip.write(tim5 + DIER, 1 << 4)
    _start(chip, tim5, 0xFFFF_FFFF)
    captured = []
    for _ in range(2):
        chip.wait(4200)
        assert chip.pending == {50}
        captured.append(chip.read(tim5 + 0x40))
        chip.chip.exceptions.state.pending.clear()
    assert captured[1] - captured[0] == 8 * 500


PULSES = ((0, True), (1, True), (0, False), (1, False))
TI1, TI2 = "PA6", "PA7"


def _encoder(chip: StillChip, mode: int, polarity: int = 0) -> None:
    _route(chip, GPIOA, 6, 2)
    _route(chip, GPIOA, 7, 2)
    chip.write(TIM3 + CCMR1, 0x0101)
    chip.write(TIM3 + CCER, polarity)
    chip.write(TIM3 + SMCR, mode)
    _start(chip, TIM3, 99)


def _turn(chip: StillChip, edges: Sequence[tuple[int, bool]]) -> None:
    for pin, level in edges:
        chip.chip.pins.drive((TI1, TI2)[pin], level=level)
        chip.wait(10)


@pytest.mark.parametrize(("mode", "counts"), [(1, 2), (2, 2), (3, 4)])
def test_an_encoder_counts_up_and_down(chip: StillChip, mode: int, counts: int) -> None:
    """RM0090 table 96: TI1 leads, up; TI2 leads, down. Time counts nothing."""
    _encoder(chip, mode)
    chip.wait(1000)
    _turn(chip, PULSES)
    assert (chip.read(TIM3 + CNT), chip.read(TIM3 + CR1) & DOWN) == (counts, 0)
    back = [(pin, not level) for pin, level in reversed(PULSES)]
    _turn(chip, back)
    assert (chip.read(TIM3 + CNT), chip.read(TIM3 + CR1) & DOWN) == (0, DOWN)
    assert not chip.read(TIM3 + SR) & UIF
    _turn(chip, back)
    assert chip.read(TIM3 + CNT) == 100 - counts
    assert chip.read(TIM3 + SR) & UIF


def test_a_polarity_turns_an_encoder_round(chip: StillChip) -> None:
    _encoder(chip, 3, polarity=2)
    _turn(chip, PULSES)
    assert chip.read(TIM3 + CNT) == 96


def test_etr_is_a_clock_with_a_prescaler(chip: StillChip) -> None:
    _route(chip, 0x4002_0C00, 2, 2)  # PD2
    chip.write(TIM3 + SMCR, 1 << 14 | 1 << 12)
    _start(chip, TIM3, 99)
    for _ in range(6):
        chip.chip.pins.drive("PD2", level=True)
        chip.chip.pins.drive("PD2", level=False)
        chip.wait(50)
    assert chip.read(TIM3 + CNT) == 3


def test_etr_restarts_a_timer(chip: StillChip) -> None:
    _route(chip, GPIOA, 12, 1)
    chip.write(TIM1 + SMCR, 7 << 4 | 4)
    _start(chip, TIM1, 0xFFFF)
    chip.wait(500)
    chip.chip.pins.drive("PA12", level=True)
    chip.wait(7)
    assert chip.read(TIM1 + CNT) == 7
    assert chip.read(TIM1 + SR) & TIF


def test_a_pin_gates_a_timer(chip: StillChip) -> None:
    _route(chip, GPIOA, 6, 2)
    chip.write(TIM3 + CCMR1, 0x0001)
    chip.write(TIM3 + SMCR, 5 << 4 | 5)
    _start(chip, TIM3, 0xFFFF)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 0
    chip.chip.pins.drive("PA6", level=True)
    chip.wait(100)
    chip.chip.pins.drive("PA6", level=False)
    chip.wait(100)
    assert chip.read(TIM3 + CNT) == 100
