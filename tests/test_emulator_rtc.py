"""RTC, backup domain and window watchdog: RM0090 sections 5.1.2, 22 and 26; the core stands by."""

import pytest
from emulated import StillChip, finished, registers

HZ = 16_000_000
RCC_BDCR, RCC_CSR, PWR_CR = 0x4002_3870, 0x4002_3874, 0x4000_7000
DBP, LSI, RTCEN, BDRST = 1 << 8, 2 << 8, 1 << 15, 1 << 16
RTC = 0x4000_2800
BKPSRAM, RCC_AHB1ENR, BKPSRAMEN = 0x4002_4000, 0x4002_3830, 1 << 18
TR, DR, CR, ISR, PRER, WUTR, ALRMAR, WPR, SSR = 0, 4, 8, 0xC, 0x10, 0x14, 0x1C, 0x24, 0x28
CALR, TAFCR, ALRMASSR, BKP0R = 0x3C, 0x40, 0x44, 0x50
INIT, INITF, RSF, INITS, WUTWF = 1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 2
ALRAF, WUTF, TAMP1F = 1 << 8, 1 << 10, 1 << 13
FMT, ALRAE, WUTE, ALRAIE, WUTIE = 1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14
MASK_ALL = 0x8080_8080
EXTI = 0x4001_3C00
ALARM_IRQ, WAKE_UP_IRQ, TAMPER_IRQ = 41, 3, 2
NEW_YEAR_S_EVE = (0x23_59_58, 0x24_D2_31)  # 23:59:58 on Saturday, 31 December 2024


@pytest.fixture
def chip() -> StillChip:
    """A chip whose RTC runs from the 32 kHz oscillator, unlocked: 1 Hz from 100 times 320."""
    chip = StillChip()
    chip.write(PWR_CR, DBP)
    chip.write(RCC_CSR, 1)
    chip.write(RCC_BDCR, LSI | RTCEN)
    _unlock(chip)
    for at in (0, 8):
        chip.write(EXTI + at, 0b110_0010 << 16)
    return chip


def _unlock(chip: StillChip) -> None:
    chip.write(RTC + WPR, 0xCA)
    chip.write(RTC + WPR, 0x53)


def _set(chip: StillChip, time: int, date: int, prescaler: int = 99 << 16 | 319) -> None:
    chip.write(RTC + ISR, chip.read(RTC + ISR) | INIT)
    chip.wait(2 * HZ // 32_000)
    assert chip.read(RTC + ISR) & INITF
    chip.write(RTC + PRER, prescaler)
    chip.write(RTC + TR, time)
    chip.write(RTC + DR, date)
    chip.write(RTC + ISR, chip.read(RTC + ISR) & ~INIT)


def test_initialisation_is_acknowledged_after_two_periods(chip: StillChip) -> None:
    chip.write(RTC + ISR, INIT)
    assert chip.read(RTC + ISR) & (INIT | INITF) == INIT
    chip.wait(2 * HZ // 32_000)
    assert chip.read(RTC + ISR) & (INIT | INITF) == INIT | INITF


def test_the_calendar_goes_into_the_new_year(chip: StillChip) -> None:
    assert chip.read(RTC + ISR) & INITS == 0
    _set(chip, *NEW_YEAR_S_EVE)
    chip.wait(HZ + 100)
    assert (chip.read(RTC + TR), chip.read(RTC + DR)) == (0x23_59_59, NEW_YEAR_S_EVE[1])
    chip.wait(HZ)
    assert (chip.read(RTC + TR), chip.read(RTC + DR)) == (0, 0x25_E1_01)
    assert chip.read(RTC + ISR) & INITS


def test_twelve_hours_have_an_afternoon(chip: StillChip) -> None:
    chip.write(RTC + CR, FMT)
    _set(chip, 0x11_59_59, 0x24_C1_01)
    chip.wait(HZ + 100)
    assert chip.read(RTC + TR) == 1 << 22 | 0x12_00_00


def test_subseconds_count_down(chip: StillChip) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    assert chip.read(RTC + SSR) == 319
    chip.wait(HZ // 2)
    assert chip.read(RTC + SSR) == 319 - 160


@pytest.mark.parametrize(
    ("setting", "second"), [(0, HZ), (0x1FF, HZ * (1 + 511 / 2**20)), (1 << 15, HZ * (1 - 2**-11))]
)
def test_smooth_calibration_changes_the_length_of_a_second(
    chip: StillChip, setting: int, second: float
) -> None:
    """RM0090 section 26.3.11: CALM periods of 2**20 are left out, CALP adds 512."""
    _set(chip, *NEW_YEAR_S_EVE)
    chip.write(RTC + CALR, setting)
    chip.wait(int(second) - 1000)
    assert chip.read(RTC + TR) == 0x23_59_58
    chip.wait(2000)
    assert chip.read(RTC + TR) == 0x23_59_59


def test_the_date_stays_the_one_of_the_time_that_was_read(chip: StillChip) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    chip.read(RTC + TR)
    chip.wait(3 * HZ)
    assert chip.read(RTC + DR) == NEW_YEAR_S_EVE[1]
    assert chip.read(RTC + DR) == 0x25_E1_01


@pytest.mark.parametrize("lock", ["keys", "DBP"])
def test_a_lock_keeps_what_is_set(chip: StillChip, lock: str) -> None:
    if lock == "keys":
        chip.write(RTC + WPR, 0)
    else:
        chip.write(PWR_CR, 0)
        chip.write(RTC + BKP0R, 1)
        assert chip.read(RTC + BKP0R) == 0
    chip.write(RTC + CR, FMT)
    chip.write(RTC + WUTR, 1)
    chip.write(RTC + ISR, INIT)
    assert (chip.read(RTC + CR), chip.read(RTC + WUTR)) == (0, 0xFFFF)
    assert chip.read(RTC + ISR) & INIT == 0


def test_without_a_clock_nothing_is_acknowledged() -> None:
    chip = StillChip()
    chip.write(PWR_CR, DBP)
    _unlock(chip)
    chip.write(RTC + ISR, INIT)
    chip.wait(HZ)
    assert chip.read(RTC + ISR) & (INITF | RSF) == 0


def test_shadow_registers_are_there_after_two_periods(chip: StillChip) -> None:
    chip.wait(HZ)
    assert chip.read(RTC + ISR) & RSF
    chip.write(RTC + ISR, 0)
    assert chip.read(RTC + ISR) & RSF == 0
    chip.wait(2 * HZ // 32_000 + 1)
    assert chip.read(RTC + ISR) & RSF


@pytest.mark.parametrize(
    ("alarm", "seconds"),
    [
        (MASK_ALL, 1),
        (0x8080_8000, 2),
        (0x8080_8001, 3),
        (0x0100_0000, 2),
        (0x4080_8080 | 7 << 24, 2),
        (0x8000_0100, 62),
    ],
    ids=[
        "each second",
        "second 0",
        "second 1",
        "midnight on the 1st",
        "on Sundays",
        "a minute past",
    ],
)
def test_an_alarm_interrupts_at_its_time(chip: StillChip, alarm: int, seconds: int) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    chip.write(RTC + ALRMAR, alarm)
    chip.write(RTC + CR, ALRAE | ALRAIE)
    chip.wait(seconds * HZ - HZ // 10)
    assert chip.pending == set()
    chip.wait(HZ // 5)
    assert chip.pending == {ALARM_IRQ}
    assert chip.read(RTC + ISR) & ALRAF


def test_an_alarm_of_date_0_matches_a_calendar_that_was_set_to_it(chip: StillChip) -> None:
    _set(chip, 0x00_00_00, 0)  # as ST's time base by alarm A has it
    chip.write(RTC + ALRMAR, 0x0000_0001)
    chip.write(RTC + CR, ALRAE | ALRAIE)
    chip.wait(HZ + HZ // 10)
    assert chip.read(RTC + ISR) & ALRAF
    assert (chip.read(RTC + TR), chip.read(RTC + DR)) == (1, 0)


def test_an_alarm_may_be_within_a_second(chip: StillChip) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    chip.write(RTC + ALRMAR, MASK_ALL)
    chip.write(RTC + ALRMASSR, 15 << 24 | 319 - 80)
    chip.write(RTC + CR, ALRAE | ALRAIE)
    chip.wait(HZ // 4 - 1000)
    assert chip.read(RTC + ISR) & ALRAF == 0
    chip.wait(2000)
    assert chip.read(RTC + ISR) & ALRAF


@pytest.mark.parametrize(
    ("choice", "value", "cycles"), [(0, 1, 16_000), (3, 999, 1_000_000), (4, 1, 2 * HZ)]
)
def test_the_wake_up_timer_interrupts_again_and_again(
    chip: StillChip, choice: int, value: int, cycles: int
) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    assert chip.read(RTC + ISR) & WUTWF
    chip.write(RTC + WUTR, value)
    chip.write(RTC + CR, choice | WUTE | WUTIE)
    assert chip.read(RTC + ISR) & WUTWF == 0
    for _ in range(3):
        chip.wait(cycles - 100)
        assert chip.pending == set()
        chip.wait(200)
        assert chip.pending == {WAKE_UP_IRQ}
        chip.write(RTC + ISR, ~(WUTF | INIT) & 0xFFFF_FFFF)
        chip.write(EXTI + 0x14, 1 << 22)
        chip.chip.exceptions.state.pending.clear()
        chip.wait(0)
        chip.chip.clock.run.cycles -= 100


def test_the_backup_domain_outlives_a_reset(chip: StillChip) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    chip.write(RTC + BKP0R, 0x1234_5678)
    chip.wait(HZ + 100)
    chip.chip.reset()
    chip.write(0x4002_3840, 1 << 28)
    assert chip.read(RTC + BKP0R) == 0x1234_5678
    assert chip.read(RTC + TR) == 0x23_59_59
    assert chip.read(RCC_BDCR) & (LSI | RTCEN) == LSI | RTCEN
    chip.write(RTC + BKP0R, 0)
    assert chip.read(RTC + BKP0R) == 0x1234_5678  # DBP is clear again


def test_the_backup_sram_outlives_every_reset_and_dbp_guards_it(chip: StillChip) -> None:
    last = BKPSRAM + 4092
    chip.write(RCC_AHB1ENR, 0)
    chip.write(last, 1)
    assert chip.read(last) == 0  # without its clock
    chip.write(RCC_AHB1ENR, BKPSRAMEN)
    chip.write(last, 0x1234)
    chip.write(PWR_CR, 0)
    chip.write(last, 0x5678)
    chip.write(PWR_CR, DBP)
    chip.write(RCC_BDCR, BDRST)
    chip.chip.reset()
    assert chip.read(last) == 0
    chip.write(RCC_AHB1ENR, BKPSRAMEN)
    assert chip.read(last) == 0x1234


def test_bdrst_resets_the_backup_domain_and_dbp_guards_it(chip: StillChip) -> None:
    chip.write(RTC + BKP0R, 1)
    chip.write(PWR_CR, 0)
    chip.write(RCC_BDCR, BDRST)
    assert chip.read(RTC + BKP0R) == 1
    chip.write(PWR_CR, DBP)
    chip.write(RCC_BDCR, BDRST)
    assert (chip.read(RTC + BKP0R), chip.read(RCC_BDCR)) == (0, BDRST)


def test_the_clock_s_source_is_chosen_once(chip: StillChip) -> None:
    chip.write(RCC_BDCR, 1 << 8 | RTCEN | 1)
    assert chip.read(RCC_BDCR) & 3 << 8 == LSI


def test_a_tamper_event_forgets_what_is_kept(chip: StillChip) -> None:
    chip.write(RTC + BKP0R, 1)
    chip.write(RTC + TAFCR, 1 | 1 << 2)
    chip.chip.pins.drive("PC13", level=True)
    chip.wait(1)
    assert chip.read(RTC + BKP0R) == 0
    assert chip.read(RTC + ISR) & TAMP1F
    assert chip.pending == {TAMPER_IRQ}


def test_the_time_goes_on_while_the_core_s_clock_changes(chip: StillChip) -> None:
    _set(chip, *NEW_YEAR_S_EVE)
    chip.wait(HZ // 2)
    chip.write(0x4002_3808, 0x80)  # HPRE: half
    chip.wait(HZ // 4 + 1000)
    assert chip.read(RTC + TR) == 0x23_59_59


WWDG = 0x4000_2C00
COUNT = 4096


@pytest.fixture
def dog() -> StillChip:
    return StillChip()


def _bites(chip: StillChip) -> bool:
    return any(one.is_due() for one in chip.chip._watchdogs)


def test_the_window_watchdog_bites_below_64(dog: StillChip) -> None:
    dog.write(WWDG, 0x80 | 0x43)
    dog.wait(4 * COUNT - 10)
    assert not _bites(dog)
    assert dog.read(WWDG) == 0x80 | 0x40
    dog.wait(20)
    assert _bites(dog)


def test_the_window_watchdog_bites_who_feeds_it_too_early(dog: StillChip) -> None:
    dog.write(WWDG + 4, 0x50)
    dog.write(WWDG, 0x80 | 0x60)
    dog.wait(16 * COUNT + 10)
    dog.write(WWDG, 0x80 | 0x60)
    assert not _bites(dog)
    dog.wait(10 * COUNT)
    dog.write(WWDG, 0x80 | 0x60)
    assert _bites(dog)


def test_the_window_watchdog_warns_at_64(dog: StillChip) -> None:
    dog.write(WWDG + 4, 1 << 9 | 0x7F)
    dog.write(WWDG, 0x80 | 0x42)
    dog.wait(2 * COUNT - 10)
    assert dog.pending == set()
    dog.wait(20)
    assert dog.pending == {0}
    assert dog.read(WWDG + 8) == 1
    dog.write(WWDG + 8, 0)
    assert dog.read(WWDG + 8) == 0


def test_a_program_sees_that_the_window_watchdog_reset_it() -> None:
    program = """
    function start
     ldr r0, =0x40023800
     ldr r4, [r0, #0x74]
     lsls r1, r4, #1
     bmi 2f
     ldr r1, =0x800
     str r1, [r0, #0x40]
     ldr r1, =0x40002C00
     movs r2, #0xC1
     str r2, [r1]
    1: b 1b
    2: bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4")[0] >> 29 == 0b010
