"""Loops that wait for a register are passed over, and no count tells."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from emulated import USART1, chip_with, finished, registers

from hil.targets.emulator.core.polling import Polls

SYSTICK = """
 ldr r0, =0xE000E010
 ldr r1, =20000
 str r1, [r0, #4]
 str r1, [r0, #8]
 movs r1, #5
 str r1, [r0]
"""
TIMER = """
 ldr r0, =0x40023840
 movs r1, #1
 str r1, [r0]
 ldr r0, =0x40000010
 ldr r1, =20000
 str r1, [r0, #0x1C]
 movs r1, #5
 str r1, [r0, #-0x10]
"""
SEND_SLOWLY = """
 ldr r1, =0x2008
 str r1, [r0, #12]
 ldr r1, =0xFFFF
 str r1, [r0, #8]
 str r1, [r0, #4]
 str r1, [r0, #4]
"""
WAITS = {
    "SysTick": (SYSTICK, 16),
    "a timer": (TIMER, 0),
    "the crystal": ("ldr r0, =0x40023800\n ldr r1, =0x10083\n str r1, [r0]", 17),
    "a byte on the line": (
        f"{USART1} {SEND_SLOWLY}",
        7,
    ),
}
WAIT = """
function start
 {before}
 ldr r6, =0x20000000
 movs r5, #0
 movs r7, #0
1: {work}
 ldr r1, [r0]
 tst r1, #{mask}
 beq 1b
 ldr r4, [r0]
 ldr r3, [r6]
 bkpt 0
"""
NOTHING, IN_A_REGISTER, IN_MEMORY = "", "adds r5, #1", "ldr r2, [r6]\n adds r2, #1\n str r2, [r6]"


def _run(monkeypatch: pytest.MonkeyPatch, what: str, work: str, *, passes: bool) -> tuple[int, ...]:
    """Return cycles, instructions, rounds counted, and how often the register was read."""
    before, bit = WAITS[what]
    reads = 0
    note = Polls.note

    def counting(polls: Polls, *args: object) -> None:
        nonlocal reads
        reads += 1
        if passes:
            note(polls, *args)  # type: ignore[arg-type]

    program = WAIT.format(before=before, work=work, mask=1 << bit)
    with monkeypatch.context() as patch:
        patch.setattr(Polls, "note", counting)
        chip = chip_with(program)
        chip.usarts["usart1"].times_bytes = True
        with finished(program, chip=chip):
            run = chip.clock.run
            return (run.cycles, run.instructions, *registers(chip, "r3", "r5"), reads)


IN_A_FUNCTION = """push {r4, lr}
 movs r2, #0x50
 msr basepri, r2
 movs r2, #0
 msr basepri, r2
 pop {r4, lr}"""


@pytest.mark.parametrize(
    ("work", "reads"),
    [(NOTHING, 40), (IN_A_FUNCTION, 60)],
    ids=["as it is", "in a function that saves registers and masks"],
)
@pytest.mark.parametrize("what", WAITS)
def test_a_wait_that_is_passed_over_costs_what_it_would_have(
    monkeypatch: pytest.MonkeyPatch, what: str, work: str, reads: int
) -> None:
    executed = _run(monkeypatch, what, work, passes=False)
    passed = _run(monkeypatch, what, work, passes=True)
    assert passed[:-1] == executed[:-1]
    assert passed[-1] < reads < executed[-1]


@pytest.mark.parametrize("work", [IN_A_REGISTER, IN_MEMORY], ids=["in a register", "in memory"])
def test_a_wait_that_counts_its_rounds_is_executed(
    monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    executed = _run(monkeypatch, "SysTick", work, passes=False)
    assert _run(monkeypatch, "SysTick", work, passes=True) == executed


@pytest.mark.parametrize(
    "work",
    ["pop {r3}\n adds r3, #1\n push {r3}\n movs r3, #0", "vadd.f32 s0, s0, s1"],
    ids=["on the stack", "in a float"],
)
def test_a_wait_that_counts_where_no_core_register_shows_it_is_executed(
    monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    one = "ldr r1, =0xE000ED88\n ldr r2, =0xF00000\n str r2, [r1]\n vmov.f32 s1, #1.0\n"
    program = (SYSTICK + one + "vsub.f32 s0, s1, s1\n", 16)
    monkeypatch.setitem(WAITS, "floats", program)
    executed = _run(monkeypatch, "floats", work, passes=False)
    assert _run(monkeypatch, "floats", work, passes=True) == executed


def test_a_wait_with_a_limit_by_another_counter_is_executed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The flags and registers repeat, and yet the limit comes before the flag that is awaited."""
    limit = """ldr r1, =0xE0001004
     ldr r1, [r1]
     subs r1, r1, r4
     ldr r2, =9000
     cmp r1, r2
     bhi 2f
     mov r1, r0"""
    start = """ ldr r1, =0xE000EDFC
     ldr r2, =0x1000000
     str r2, [r1]
     ldr r1, =0xE0001000
     movs r2, #1
     str r2, [r1]
     ldr r4, [r1, #4]
    """
    program = f"""
    function start
     {SYSTICK}{start}
     movs r5, #0
    1: {limit}
     ldr r1, [r1]
     tst r1, #0x10000
     mov r1, r0
     movs r2, #0
     beq 1b
     movs r5, #1
    2: bkpt 0
    """
    del monkeypatch
    with finished(program) as chip:
        assert registers(chip, "r5") == (0,)
        assert 9000 < chip.clock.run.cycles < 9500


def test_a_wait_that_reads_a_register_that_stays_as_it_is_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As ST's HAL does, which looks at USART_CR1 while it waits for a flag."""
    work = "ldr r2, =0xE000ED14\n ldr r2, [r2]"
    executed = _run(monkeypatch, "SysTick", work, passes=False)
    passed = _run(monkeypatch, "SysTick", work, passes=True)
    assert passed[:-1] == executed[:-1]
    assert passed[-1] < 60 < executed[-1]


def test_a_counter_with_a_prescaler_is_passed_over_from_count_to_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = """
    function start
     ldr r0, =0x40023840
     movs r1, #1
     str r1, [r0]
     ldr r0, =0x40000000
     ldr r1, =1679
     str r1, [r0, #0x28]
     movs r1, #1
     str r1, [r0, #0x14]
     str r1, [r0]
     movs r5, #0
    1: ldr r1, [r0, #0x24]
     cmp r1, #20
     blo 1b
     bkpt 0
    """
    counted: list[tuple[int, int]] = []
    reads = []
    note = Polls.note
    for passes in (False, True):
        reads.append(0)

        def counting(polls: Polls, *args: object, passes: bool = passes) -> None:
            reads[-1] += 1
            if passes:
                note(polls, *args)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(Polls, "note", counting)
            with finished(program) as chip:
                counted.append((chip.clock.run.cycles, chip.clock.run.instructions))
    assert counted[0] == counted[1]
    assert reads[1] < reads[0] / 10


def test_a_register_whose_change_nobody_knows_is_polled_without_a_look_at_the_core() -> None:
    """Such as a receiver that waits for the host's next byte: the look costs more than the read."""
    looks: list[str] = []

    def always(cycle: int | None) -> Callable[[], int | None]:
        return lambda: cycle

    class Core:
        def read_many(self, *_: object) -> tuple[int, ...]:
            looks.append("registers")
            return (0,)

        def mark(self) -> None:
            looks.append("loop")

        def is_pure(self, *_: object) -> bool:
            return False

    clock = SimpleNamespace(run=SimpleNamespace(cycles=0, instructions=0, stop=0), loops=Core())
    memory = SimpleNamespace(accesses=lambda: (0, 0), content=lambda: None)
    polls = Polls(cast("Any", Core()), cast("Any", clock), memory)
    for known in (None, 1_000_000):
        for _ in range(20):
            clock.run.cycles += 12
            polls.note(0x4001_1000, 0xC0, always(known))
        assert bool(looks) == (known is not None)
