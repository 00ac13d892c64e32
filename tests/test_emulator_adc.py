"""The ADCs: RM0090 section 13, rule by rule."""

import random
from collections.abc import Mapping

import pytest
from emulated import StillChip

ADC1, ADC3, CCR = 0x4001_2000, 0x4001_2200, 0x4001_2304
SR, CR1, CR2, SMPR1, SMPR2, JOFR1, HTR, LTR = (4 * at for at in (0, 1, 2, 3, 4, 5, 9, 10))
SQR1, SQR2, SQR3, JSQR, JDR1, DR = (4 * at for at in (11, 12, 13, 14, 15, 19))
AWD, EOC, JEOC, JSTRT, STRT, OVR = (1 << bit for bit in range(6))
EOCIE, AWDIE, SCAN, AWDSGL, JAUTO = 1 << 5, 1 << 6, 1 << 8, 1 << 9, 1 << 10
DISCEN, JAWDEN, AWDEN, OVRIE = 1 << 11, 1 << 22, 1 << 23, 1 << 26
ADON, CONT, DMA, DDS, EOCS, ALIGN = 1, 2, 1 << 8, 1 << 9, 1 << 10, 1 << 11
JSWSTART, SWSTART, RISING = 1 << 22, 1 << 30, 1 << 28
FOUR_CHANNELS = {"PA0": 0.4, "PA1": 0.8, "PA2": 1.2, "PA3": 1.6}
CYCLES = 15 * 2  # of 3 cycles of sampling and 12 bits, with the core's clock on APB2 and ADCPRE 2
DMA2_S0 = 0x4002_6410
TO_MEMORY = 1 << 13 | 1 << 11 | 1 << 10
TABLE = 0x2000_0000


def _code(volts: float) -> int:
    return int(volts / 3.3 * 4096)


class Adc:
    """ADC1 of a chip that stands still, switched on."""

    def __init__(
        self, control: int = 0, *, scans: int = 0, pins: Mapping[str, float] | None = None
    ) -> None:
        self.still = StillChip()
        for pin, value in (pins or {}).items():
            self.still.chip.analog.apply(pin, value)
        if scans:
            self[CR1] = SCAN
            self[SQR1] = (scans - 1) << 20
            self[SQR3] = sum(at << 5 * at for at in range(min(scans, 6)))
        self.control = control | ADON
        self[CR2] = self.control

    def __getitem__(self, offset: int) -> int:
        return self.still.read(ADC1 + offset)

    def __setitem__(self, offset: int, value: int) -> None:
        self.still.write(ADC1 + offset, value)

    def start(self, bit: int = SWSTART) -> None:
        """Start by software."""
        self[CR2] = self.control | bit

    def after(self, conversions: float) -> int:
        """Let conversions of 15 cycles pass; returns SR."""
        self.still.wait(int(conversions * CYCLES))
        return self[SR]


def _moved(adc: Adc, count: int) -> list[int]:
    data = adc.still.chip.bus.read(TABLE, 2 * count)
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, 2 * count, 2)]


def _stream(adc: Adc, items: int, *, more: int = 0) -> None:
    for offset, value in ((4, items), (8, ADC1 + DR), (0xC, TABLE), (0, TO_MEMORY | more | 1)):
        adc.still.write(DMA2_S0 + offset, value)


def test_a_conversion_takes_its_sampling_time_and_a_cycle_for_each_bit() -> None:
    adc = Adc(pins={"PA0": 1.65})
    adc.start()
    assert adc.after(0.9) == STRT
    assert adc.after(0.2) == STRT | EOC
    assert (adc[DR], adc[SR]) == (2048, STRT)  # reading DR clears EOC


@pytest.mark.parametrize(
    ("sampling", "resolution", "cycles"),
    [(0, 0, 15), (1, 0, 27), (7, 0, 492), (0, 1, 13), (0, 2, 11), (0, 3, 9)],
)
def test_sampling_time_and_resolution_decide_how_long(
    sampling: int, resolution: int, cycles: int
) -> None:
    adc = Adc(pins={"PA0": 3.3})
    adc[SMPR2] = sampling
    adc[CR1] = resolution << 24
    adc.start()
    adc.still.wait(2 * cycles - 8)
    assert not adc[SR] & EOC
    adc.still.wait(12)
    assert adc[SR] & EOC
    assert adc[DR] == (1 << 12 - 2 * resolution) - 1


def test_the_prescaler_divides_the_clock() -> None:
    adc = Adc(pins={"PA0": 1.0})
    adc.still.write(CCR, 3 << 16)
    adc.start()
    assert not adc.after(3.9) & EOC
    assert adc.after(0.2) & EOC


def test_nothing_is_converted_while_it_is_off() -> None:
    adc = Adc(pins={"PA0": 1.0})
    adc[CR2] = 0
    adc[CR2] = SWSTART
    assert adc.after(2) == 0
    adc[CR2] = ADON | SWSTART  # switched on only now
    assert adc.after(2) == 0


def test_continuous_conversions_go_on_until_cont_is_cleared() -> None:
    adc = Adc(CONT, pins={"PA0": 1.0})
    adc.start()
    assert adc.after(1.1) & EOC
    assert adc[DR] == _code(1.0)
    adc.still.chip.analog.apply("PA0", 2.0)
    assert adc.after(10) & EOC
    assert adc[DR] == _code(2.0)
    adc[CR2] = ADON
    adc.after(2)
    adc[SR] = 0
    assert adc.after(3) == 0


def test_a_very_long_time_of_continuous_conversions_costs_nothing() -> None:
    adc = Adc(CONT, pins={"PA0": 1.0})
    adc.start()
    adc.still.wait(2_000_000_000)
    assert adc[SR] == STRT | EOC


def test_so_does_a_long_time_behind_the_last_transfer_of_dma() -> None:
    adc = Adc(CONT | DMA, pins={"PA0": 1.0})
    _stream(adc, 1)
    adc.start()
    adc.still.wait(2_000_000_000)
    assert adc[SR] == STRT | EOC
    assert adc[DR] == _code(1.0)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_written_to_converters_and_timers_is_borne(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    still = StillChip()
    blocks = {ADC1: 20, ADC3: 20, CCR: 1, 0x4000_7400: 14, 0x4000_0400: 21, 0x4000_1000: 12}
    places = [block + 4 * at for block, words in blocks.items() for at in range(words)]
    for _ in range(300):
        any_bits, one_bit = chance.getrandbits(32), 1 << chance.randrange(32)
        value = chance.choice([0, 1, ADON | SWSTART, any_bits, one_bit])
        still.write(chance.choice(places), value)
        still.read(chance.choice(places))
        if not chance.randrange(8):
            still.chip.clock.add_cycles(chance.choice([1, 100, 10_000]))


def test_a_scan_converts_the_sequence_and_sets_eoc_at_its_end() -> None:
    adc = Adc(scans=3, pins=FOUR_CHANNELS)
    adc.start()
    assert adc.after(2.5) == STRT
    assert adc.after(1) == STRT | EOC
    assert adc[DR] == _code(1.2)
    assert adc.after(5) == STRT


def test_with_eocs_each_conversion_sets_eoc_and_an_unread_one_is_an_overrun() -> None:
    adc = Adc(EOCS, scans=3, pins=FOUR_CHANNELS)
    adc.start()
    seen = []
    for _ in range(3):
        assert adc.after(1.05) & EOC
        seen.append(adc[DR])
    assert seen == [_code(volts) for volts in (0.4, 0.8, 1.2)]
    adc.start()
    assert adc.after(2.2) & OVR
    assert adc[DR] == _code(0.4)  # what came first stays
    adc.start()
    assert not adc.after(2) & EOC  # it takes no trigger until OVR is cleared
    adc[SR] = 0
    adc.start()
    assert adc.after(1.1) & EOC


def test_discontinuous_mode_converts_a_part_at_each_trigger() -> None:
    adc = Adc(EOCS, scans=4, pins=FOUR_CHANNELS)
    adc[CR1] = SCAN | DISCEN | 1 << 13  # two at a time
    seen = []
    for _ in range(3):
        adc.start()
        for _ in range(2):
            assert adc.after(1.05) & EOC
            seen.append(adc[DR])
        assert not adc.after(3) & EOC
    assert seen == [_code(volts) for volts in (0.4, 0.8, 1.2, 1.6, 0.4, 0.8)]


def test_left_alignment_and_offsets() -> None:
    adc = Adc(ALIGN, pins={"PA0": 1.65})
    adc.start()
    adc.after(1.1)
    assert adc[DR] == 2048 << 4
    adc[JSQR] = 0
    adc[JOFR1] = 2049
    adc.start(JSWSTART)
    assert adc.after(1.1) & JEOC
    assert adc[JDR1] == -1 << 3 & 0xFFFF  # a sign stands before injected data
    adc[CR2] = ADON
    adc[CR2] = ADON | JSWSTART
    adc.after(1.1)
    assert adc[JDR1] == 0xFFFF


def test_injected_channels_interrupt_a_regular_one_which_begins_anew() -> None:
    adc = Adc(pins={"PA0": 1.0, "PA3": 1.6})
    adc[JSQR] = 3 << 15  # the only one of a sequence of one is JSQ4
    adc.start()
    adc.after(0.5)
    adc.start(JSWSTART)
    assert adc.after(1.1) == STRT | JSTRT | JEOC
    assert adc[JDR1] == _code(1.6)
    assert not adc.after(0.7) & EOC
    assert adc.after(0.3) & EOC
    assert adc[DR] == _code(1.0)


def test_fewer_injected_channels_are_the_last_of_jsqr() -> None:
    adc = Adc(scans=1, pins=FOUR_CHANNELS)
    adc[JSQR] = 1 << 20 | 2 << 15 | 1 << 10 | 3
    adc.start(JSWSTART)
    assert not adc.after(1.5) & JEOC
    assert adc.after(1) & JEOC
    assert [adc[JDR1 + 4 * at] for at in range(3)] == [_code(0.8), _code(1.2), 0]


def test_jauto_has_the_injected_group_follow_the_regular_one() -> None:
    adc = Adc(scans=1, pins=FOUR_CHANNELS)
    adc[CR1] = SCAN | JAUTO
    adc[JSQR] = 1 << 15
    adc.start()
    assert adc.after(1.1) & (EOC | JEOC) == EOC
    assert adc.after(1) & JEOC
    assert adc[JDR1] == _code(0.8)


@pytest.mark.parametrize(
    ("control", "volts", "hit"),
    [
        (AWDEN, 1.0, False),
        (AWDEN, 2.5, True),
        (AWDEN, 0.5, True),
        (JAWDEN, 2.5, False),
        (AWDEN | AWDSGL | 0, 2.5, True),
        (AWDEN | AWDSGL | 4, 2.5, False),
    ],
)
def test_the_watchdog_tells_of_what_lies_outside_its_thresholds(
    control: int, volts: float, hit: bool
) -> None:
    adc = Adc(pins={"PA0": volts})
    adc.still.write(0xE000_E100, 1 << 18)
    adc[CR1] = control | AWDIE
    adc[HTR], adc[LTR] = _code(2.0), _code(0.8)
    adc.start()
    assert bool(adc.after(1.1) & AWD) == hit
    assert (18 in adc.still.pending) == hit


def test_the_end_of_a_conversion_interrupts_in_its_time() -> None:
    adc = Adc(pins={"PA0": 1.0})
    adc.still.write(0xE000_E100, 1 << 18)
    adc[CR1] = EOCIE
    adc.start()
    adc.still.wait(CYCLES - 4)
    assert 18 not in adc.still.pending
    adc.still.wait(8)
    assert 18 in adc.still.pending


def test_a_timer_s_trigger_starts_conversions() -> None:
    adc = Adc(8 << 24 | RISING, pins={"PA0": 1.0})  # TIM3_TRGO
    adc.still.write(0x4000_042C, 999)
    adc.still.write(0x4000_0404, 2 << 4)
    adc.still.write(0x4000_0400, 1)
    adc.still.wait(990)
    assert adc[SR] == 0
    adc.still.wait(10 + CYCLES + 5)
    assert adc[SR] == STRT | EOC
    adc[SR] = 0
    adc.still.wait(1000)
    assert adc[SR] == STRT | EOC


@pytest.mark.parametrize(("edges", "first"), [(1, 1000), (2, 400), (3, 400)])
def test_a_channel_s_edges_start_conversions(edges: int, first: int) -> None:
    """TIM3_CC1 in PWM mode 1 falls where the count meets its value, and rises at the update."""
    adc = Adc(7 << 24 | edges << 28, pins={"PA0": 1.0})
    for offset, value in ((0x2C, 999), (0x34, 400), (0x18, 0x60), (0, 1)):
        adc.still.write(0x4000_0400 + offset, value)
    adc.still.wait(first - 20)
    assert adc[SR] == 0
    adc.still.wait(20 + CYCLES + 5)
    assert adc[SR] == STRT | EOC


def test_exti_11_and_15_start_regular_and_injected_conversions() -> None:
    adc = Adc(15 << 24 | RISING | 15 << 16 | 1 << 20, pins={"PA0": 1.0})
    for register in (0x00, 0x08):
        adc.still.write(0x4001_3C00 + register, 1 << 11 | 1 << 15)
    adc.still.chip.pins.drive("PA11", level=True)
    assert adc.after(1.1) == STRT | EOC
    adc.still.chip.pins.drive("PA15", level=False)  # against its pull-up
    adc.still.chip.pins.drive("PA15", level=True)
    assert adc.after(1.1) == STRT | EOC | JSTRT | JEOC


def test_dma_takes_a_scan_and_a_transfer_that_is_over_asks_for_no_more() -> None:
    adc = Adc(CONT | DMA, scans=4, pins=FOUR_CHANNELS)
    _stream(adc, 6, more=1 << 8)
    adc.start()
    adc.after(20)
    codes = [_code(volts) for volts in FOUR_CHANNELS.values()]
    assert _moved(adc, 6) == [*codes, *codes[:2]]
    assert adc.still.read(DMA2_S0 + 4) == 6  # in a circle, but DDS is clear
    assert not adc[SR] & OVR


def test_with_dds_dma_goes_on() -> None:
    adc = Adc(CONT | DMA | DDS, scans=4, pins=FOUR_CHANNELS)
    _stream(adc, 8, more=1 << 8)
    adc.start()
    adc.after(10.5)
    assert adc.still.read(DMA2_S0 + 4) == 6
    adc.still.chip.analog.apply("PA0", 3.0)
    adc.after(8)
    assert _moved(adc, 2) == [_code(3.0), _code(0.8)]


def test_dma_that_serves_nothing_is_an_overrun() -> None:
    adc = Adc(CONT | DMA, pins={"PA0": 1.0})
    adc.still.write(0xE000_E100, 1 << 18)
    adc[CR1] = OVRIE
    adc.start()
    assert not adc.after(1.5) & OVR
    assert adc.after(1) & OVR
    assert 18 in adc.still.pending


def test_the_inner_channels_are_adc_1_s_and_have_to_be_switched_on() -> None:
    adc = Adc()

    def convert(channel: int) -> int:
        adc[SQR3] = channel
        adc.start()
        adc.after(1.1)
        return adc[DR]

    assert [convert(17), convert(18)] == [0, 0]
    adc.still.write(CCR, 1 << 23)
    assert [convert(17), convert(18)] == [_code(1.21), _code(0.76)]
    adc.still.write(CCR, 3 << 22)
    assert convert(18) == _code(3.3 / 4)  # the battery goes first


def test_adc_3_has_pins_of_its_own() -> None:
    adc = Adc(pins={"PF6": 1.0, "PA4": 2.0})
    adc.still.write(ADC3 + SQR3, 4)
    adc.still.write(ADC3 + CR2, ADON)
    adc.still.write(ADC3 + CR2, ADON | SWSTART)
    adc.after(1.1)
    assert adc.still.read(0x4001_2300) == (STRT | EOC) << 16  # CSR
    assert adc.still.read(ADC3 + DR) == _code(1.0)


def test_it_reads_what_the_dac_puts_out_and_a_pin_that_is_held() -> None:
    adc = Adc(pins={"PA4": 3.0})
    adc.still.write(0x4000_7400, 1)
    adc.still.write(0x4000_7408, 1000)
    adc[SQR3] = 4
    adc.start()
    adc.after(1.1)
    assert adc[DR] == _code(3.3 * 1000 / 4095)
    adc.still.chip.pins.drive("PA1", level=True)
    adc[SQR3] = 1
    adc.start()
    adc.after(1.1)
    assert adc[DR] == 4095


def test_one_reset_holds_all_three_and_each_has_its_clock() -> None:
    adc = Adc(pins={"PA0": 1.0})
    adc.still.write(ADC3 + SQR3, 4)
    adc.still.write(0x4002_3824, 1 << 8)
    adc.still.write(0x4002_3824, 0)
    assert (adc[CR2], adc.still.read(ADC3 + SQR3)) == (0, 0)
    adc.still.write(0x4002_3844, 1 << 8)  # ADC1's clock alone
    adc[SQR3] = 5
    adc.still.write(ADC3 + SQR3, 5)
    assert (adc[SQR3], adc.still.read(ADC3 + SQR3)) == (5, 0)


def test_dual_mode_is_told(caplog: pytest.LogCaptureFixture) -> None:
    StillChip().write(CCR, 6)
    assert "ADC_CCR.MULTI is not modelled" in caplog.text
