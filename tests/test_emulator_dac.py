"""The DAC: RM0090 section 14, rule by rule."""

import pytest
from emulated import StillChip

DAC = 0x4000_7400
CR, SWTRIGR, DHR12R1, DHR12L1, DHR8R1 = DAC, DAC + 4, DAC + 8, DAC + 0xC, DAC + 0x10
DHR12RD, DHR12LD, DHR8RD, DOR1, DOR2, SR = (DAC + at for at in (0x20, 0x24, 0x28, 0x2C, 0x30, 0x34))
EN, TEN, DMAEN, DMAUDRIE = 1, 4, 1 << 12, 1 << 13
TIM6, TIM6_ARR, TIM6_CR2 = 0x4000_1000, 0x4000_102C, 0x4000_1004
SOFTWARE, EXTI9 = 7 << 3, 6 << 3
TABLE = 0x2000_0000
DMA1_S5 = 0x4002_6010 + 5 * 0x18
TO_DAC = 7 << 25 | 1 << 13 | 1 << 11 | 1 << 10 | 1 << 8 | 1 << 6  # halfwords, in a circle


def _ticking(chip: StillChip, period: int) -> None:
    """Have TIM6 put out its updates as triggers."""
    chip.write(TIM6_ARR, period - 1)
    chip.write(TIM6_CR2, 2 << 4)
    chip.write(TIM6, 1)


def _feed(chip: StillChip, values: list[int]) -> None:
    """Have DMA1 bring values to the first channel."""
    for at, value in enumerate(values):
        chip.chip.bus.write(TABLE + 2 * at, value.to_bytes(2, "little"))
    for offset, value in ((4, len(values)), (8, DHR12R1), (0xC, TABLE), (0, TO_DAC | 1)):
        chip.write(DMA1_S5 + offset, value)


@pytest.mark.parametrize(
    ("register", "written", "held"),
    [
        (DHR12R1, 0xF123, (0x123, 0)),
        (DHR12L1, 0x123F, (0x123, 0)),
        (DHR8R1, 0x1AB, (0xAB0, 0)),
        (DAC + 0x14, 0x456, (0, 0x456)),
        (DAC + 0x18, 0x4560, (0, 0x456)),
        (DAC + 0x1C, 0xCD, (0, 0xCD0)),
        (DHR12RD, 0x0456_0123, (0x123, 0x456)),
        (DHR12LD, 0x4560_1230, (0x123, 0x456)),
        (DHR8RD, 0xCDAB, (0xAB0, 0xCD0)),
    ],
)
def test_data_come_right_and_left_aligned_in_12_and_8_bits(
    register: int, written: int, held: tuple[int, int]
) -> None:
    chip = StillChip()
    chip.write(register, written)
    assert (chip.read(DOR1), chip.read(DOR2)) == held
    assert (chip.read(DHR12R1), chip.read(DAC + 0x14)) == held


def test_a_channel_puts_its_value_on_its_pin_while_it_is_on() -> None:
    chip = StillChip()
    chip.write(DHR12RD, 0x0FFF_0800)
    assert chip.chip.analog.volts("PA4") == 0.0
    chip.write(CR, EN | EN << 16)
    assert chip.chip.analog.volts("PA4") == pytest.approx(3.3 * 0x800 / 0xFFF)
    assert chip.chip.analog.volts("PA5") == pytest.approx(3.3)


def test_a_value_waits_for_its_trigger() -> None:
    chip = StillChip()
    chip.write(CR, EN | TEN | SOFTWARE)
    chip.write(DHR12R1, 0x321)
    assert chip.read(DOR1) == 0
    chip.write(SWTRIGR, 2)  # the other channel's
    assert chip.read(DOR1) == 0
    chip.write(SWTRIGR, 1)
    assert (chip.read(DOR1), chip.read(SWTRIGR)) == (0x321, 0)


def test_an_edge_of_exti_9_is_a_trigger() -> None:
    chip = StillChip()
    chip.write(0x4001_3C00, 1 << 9)
    chip.write(0x4001_3C08, 1 << 9)  # rising
    chip.write(CR, EN | TEN | EXTI9)
    chip.write(DHR12R1, 0x111)
    chip.chip.pins.drive("PA9", level=True)
    assert chip.read(DOR1) == 0x111


def test_a_timer_s_update_is_a_trigger() -> None:
    chip = StillChip()
    _ticking(chip, 1000)
    chip.write(CR, EN | TEN)
    chip.write(DHR12R1, 0x222)
    chip.wait(900)
    assert chip.read(DOR1) == 0
    chip.wait(200)
    assert chip.read(DOR1) == 0x222


def test_noise_is_the_manual_s_shift_register() -> None:
    """Figure 68: 0xAAA, 0xD55 behind a DHR of zero; the mask leaves the lowest bits."""
    chip = StillChip()
    chip.write(CR, EN | TEN | SOFTWARE | 1 << 6 | 0xB << 8)
    seen = []
    for _ in range(4095):
        chip.write(SWTRIGR, 1)
        seen.append(chip.read(DOR1))
    assert seen[:3] == [0xAAA, 0xD55, 0xEAA]
    assert len(set(seen)) == 4095
    chip.write(CR, EN | TEN | SOFTWARE)
    chip.write(CR, EN | TEN | SOFTWARE | 1 << 6 | 2 << 8)
    chip.write(SWTRIGR, 1)
    assert chip.read(DOR1) == 0xAAA & 7


def test_a_triangle_goes_up_to_its_amplitude_and_down_again() -> None:
    chip = StillChip()
    chip.write(DHR12R1, 0x100)
    chip.write(CR, EN | TEN | SOFTWARE | 2 << 6 | 1 << 8)  # an amplitude of 3
    seen = []
    for _ in range(9):
        chip.write(SWTRIGR, 1)
        seen.append(chip.read(DOR1) - 0x100)
    assert seen == [0, 1, 2, 3, 2, 1, 0, 1, 2]


@pytest.mark.parametrize("wave", [0, 1 << 6 | 0xB << 8, 2 << 6 | 1 << 8, 2 << 6 | 0xF << 8])
def test_a_wave_that_nobody_has_looked_at_is_where_it_would_be(wave: int) -> None:
    seen = []
    for parts in (1, 5_000):
        chip = StillChip()
        _ticking(chip, 2)
        chip.write(DHR12R1, 1)
        chip.write(CR, EN | TEN | wave)
        for _ in range(parts):
            chip.chip.clock.add_cycles(100_000 // parts)
            chip.read(DOR1)
        seen.append(chip.read(DOR1))
        chip.wait(2_000_000_000)  # and no time is a long one
        chip.read(DOR1)
    assert seen[0] == seen[1]


def test_a_wave_does_not_overflow() -> None:
    chip = StillChip()
    chip.write(DHR12R1, 0xFFE)
    chip.write(CR, EN | TEN | SOFTWARE | 1 << 6 | 0xB << 8)
    chip.write(SWTRIGR, 1)
    assert chip.read(DOR1) == 0xFFF


def test_each_trigger_asks_dma_for_the_next_value() -> None:
    chip = StillChip()
    _feed(chip, [0x100, 0x200, 0x300])
    _ticking(chip, 1000)
    chip.write(CR, EN | TEN | DMAEN)
    seen = []
    chip.wait(500)
    for _ in range(5):
        chip.wait(1000)
        seen.append(chip.read(DOR1))
    assert seen == [0, 0x100, 0x200, 0x300, 0x100]
    assert not chip.read(SR)


def test_a_trigger_that_finds_the_last_value_unserved_is_an_underrun() -> None:
    """Section 14.3.7: DMAUDR is set, no more is asked for until it is cleared by writing one."""
    chip = StillChip()
    chip.write(0xE000_E104, 1 << 54 - 32)
    _ticking(chip, 1000)
    chip.write(CR, EN | TEN | DMAEN | DMAUDRIE)
    chip.wait(1500)
    assert (chip.read(SR), chip.pending & {54}) == (0, set())
    chip.wait(1000)
    assert (chip.read(SR), chip.pending & {54}) == (1 << 13, {54})
    chip.write(SR, 1 << 13)
    assert chip.read(SR) == 0


def test_a_software_trigger_asks_for_nothing() -> None:
    chip = StillChip()
    _feed(chip, [0x100])
    chip.write(CR, EN | TEN | SOFTWARE | DMAEN)
    chip.write(SWTRIGR, 1)
    chip.write(SWTRIGR, 1)
    chip.wait(100)
    assert (chip.read(DOR1), chip.read(SR)) == (0, 0)


def test_a_watched_voltage_is_told_when_it_changes() -> None:
    chip = StillChip()
    told: list[float] = []
    chip.chip.analog.watch("PA4", told.append)
    _ticking(chip, 1000)
    chip.write(CR, EN | TEN | 2 << 6 | 0xB << 8)
    for _ in range(3):
        chip.wait(1000)
        chip.chip.analog.settle()
    assert told == pytest.approx([3.3 / 0xFFF, 3.3 * 2 / 0xFFF])


def test_a_reset_by_rcc_switches_it_off() -> None:
    chip = StillChip()
    chip.write(DHR12R1, 0x800)
    chip.write(CR, EN)
    chip.write(0x4002_3820, 1 << 29)
    chip.write(0x4002_3820, 0)
    assert (chip.read(CR), chip.read(DOR1), chip.chip.analog.volts("PA4")) == (0, 0, 0.0)
