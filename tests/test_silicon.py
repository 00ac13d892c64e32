"""The ledger of what only silicon can prove, and what fills it in."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_rows
import thumb
from emulated import BOARD

from hil.build.image import Segment
from hil.errors import FlashError, ProbeError
from hil.results.rows import Metric, Row
from hil.studies.boards import check, clocks, ledger, loops, runs, silicon_report, wires
from hil.studies.boards.finding import Finding
from hil.studies.boards.ledger import State
from hil.targets import ram_program
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.ram_program import Counted

ROOT = Path(__file__).parent.parent
UID = "00112233445566778899aabb"
SOURCES = {
    "sram1 loads": "ldr r4,[r0]; ldr r5,[r0,#4]; ldr r4,[r0,#8]; ldr r5,[r0,#12]",
    "sram1 stores": "str r4,[r0]; ldr r5,[r0,#4]; str r4,[r0,#8]; ldr r5,[r0,#12]",
    "8 cached lines": "; ".join(["ldr r4,[r0]; adds r0,#16"] * 8 + ["subs r0,#128"]),
    "emptied cache": (
        "ldr r3,[r0]; ldr r3,[r0]; str r4,[r7]; str r5,[r7]; str r4,[r7]; str.w r8,[r7]"
    ),
}


@pytest.fixture(scope="module")
def opened() -> Iterator[EmulatedTarget]:
    with EmulatedTarget(BOARD) as target:
        yield target


@pytest.fixture
def target(opened: EmulatedTarget) -> EmulatedTarget:
    opened.debugger.reset_and_halt()
    return opened


def test_the_page_prints_the_ledger() -> None:
    assert ledger.markdown() in (ROOT / "docs/silicon.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("one", ledger.ASSUMPTIONS, ids=lambda one: str(one.name))
def test_an_assumption_says_whence_it_is_and_names_a_file_that_is_there(
    one: ledger.Assumption,
) -> None:
    assert (ROOT / one.where).is_file()
    assert one.claim
    assert one.evidence
    assert one.shows
    assert [other.name for other in ledger.ASSUMPTIONS].count(one.name) == 1


def test_a_ledger_fills_itself_in_and_one_wrong_look_outweighs_the_others() -> None:
    found = [
        Finding("sram1 loads", True, "8.00", 8.0, 8.0),
        Finding("sram1 stores", False, "11.00", 11.0, 10.0),
        Finding("sram3 loads", True, "8.00"),
        Finding("flash loads", None, "no model here"),
    ]
    entries = {entry.assumption.name: entry for entry in ledger.fill(found)}
    states = {name: entry.state for name, entry in entries.items()}
    assert states["SRAM1"] is State.FAILS
    assert entries["SRAM1"].detail.startswith("sram1 stores: 11.00")
    assert states["SRAM3"] is State.HOLDS
    assert states["wait states"] is states["supply"] is State.OPEN
    assert "voltmeter" in entries["supply"].detail


@pytest.mark.parametrize("name", SOURCES)
def test_a_loop_is_what_its_assembly_says(name: str) -> None:
    (loop,) = (one for one in loops.of(BOARD) if one.name == name)
    body = SOURCES[name].replace("; ", "\n ")
    source = f"function start\n ldr r2,[r6]\n1:\n {body}\n subs r1,#1\n bne 1b\n ldr r3,[r6]\n bkpt"
    code = thumb.flash_bytes(thumb.assemble(source))
    assert loop.program in code


def test_a_memory_that_times_otherwise_than_the_model_is_found(target: EmulatedTarget) -> None:
    found = {one.name: one for one in loops.compare(BOARD, target.debugger, target.debugger)}
    assert {one.good for one in found.values()} == {True}
    assert {one.difference for one in found.values()} == {0.0}
    one, other = found["sram2 stores"].value, found["sram1 stores"].value
    assert one is not None
    assert other is not None
    assert one > other + 1
    late = loops.judged("sram3 stores", here=one, there=other)
    assert late.good is False
    assert "15.00 cycles a pass, 10.00 modelled" in late.detail
    assert loops.judged("sram3 stores", one, None).good is None


def test_the_flash_takes_its_caches_at_once_and_a_store_that_reads_otherwise_is_counted(
    target: EmulatedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loops.unsettled(BOARD, target.debugger) == 0
    monkeypatch.setattr(loops, "_PREFETCH", 1 << 20)  # a bit that FLASH_ACR does not have
    assert loops.unsettled(BOARD, target.debugger) > 0


def test_a_program_that_never_ends_is_given_up(target: EmulatedTarget) -> None:
    with pytest.raises(ProbeError, match=r"did not end within 0\.1 s"):
        target.debugger.execute(b"\xfe\xe7", BOARD.sram.address, {}, deadline_s=0.1)


def test_bytes_pass_both_ways_without_firmware(target: EmulatedTarget) -> None:
    found = list(wires.look(BOARD, target.debugger, target.serial()))
    assert [(one.name, one.good) for one in found] == [
        ("serial 115,200 baud", True),
        ("serial 1,000,000 baud", True),
    ]
    assert "8 bytes to PA10, 0 wrong; 8 from PA9, 0 wrong or lost" in found[0].detail


def test_a_port_that_leads_to_other_pins_is_told_with_the_board_that_has_them(
    target: EmulatedTarget,
) -> None:
    other = replace(BOARD, uart="usart3", tx="PD8", rx="PD9", also=())
    (found,) = wires.look(other, target.debugger, target.serial())
    assert found.good is False
    assert "nothing arrives on PD9 (usart3); what is sent arrives on PA10" in found.detail
    assert "--board=stm32f439" in found.detail


def test_a_port_that_leads_nowhere_is_told(
    target: EmulatedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires, "_LOOKS", 2)
    port: Any = target.serial()
    monkeypatch.setattr(port, "write", len)
    (found,) = wires.look(BOARD, target.debugger, port)
    assert "nor on another pin" in found.detail


def test_clocks_are_held_against_the_hosts(target: EmulatedTarget) -> None:
    found = list(clocks.look(BOARD, target.debugger, own_time=True))
    assert [one.name for one in found] == ["clock", "sleep", "crystal"]
    assert "a crystal swings" in found[2].detail
    oscillator = clocks._Clock("clock", "it", 16_000_000, 0.05)
    slow = oscillator.held(Counted(7_000_000, 0.5, 0.001), own_time=False)
    right = oscillator.held(Counted(8_080_000, 0.5, 0.001), own_time=False)
    assert (slow.good, right.good) == (False, True)
    assert "16.1600 MHz by the host's clock, +1.000% of 16 MHz, known to 0.200%" in right.detail


@pytest.mark.parametrize(("cycles", "good"), [(8_000_000, True), (40, False)])
def test_a_counter_that_stands_still_in_sleep_is_told(cycles: int, good: bool) -> None:
    awake, asleep = Counted(8_000_000, 0.5, 0.001), Counted(cycles, 0.5, 0.001)
    assert clocks._in_sleep(awake, asleep, own_time=False).good is good
    assert clocks._in_sleep(awake, asleep, own_time=True).good is None


def test_a_board_without_a_crystal_is_told_and_well_where_its_file_needs_none() -> None:
    dead = replace(BOARD, hse_hz=0)
    with EmulatedTarget(dead) as target:
        target.debugger.reset_and_halt()
        (*_, found) = clocks.look(dead, target.debugger, own_time=True)
        needs = replace(dead, clock_source="hse")
        (*_, wrong) = clocks.look(needs, target.debugger, own_time=True)
    assert (found.name, found.good, wrong.good) == ("crystal", True, False)
    assert "neither a crystal nor a clock" in found.detail


def rows(timing: str, uid: str, *metrics: Metric) -> list[Row]:
    context = replace(
        report_rows.CONTEXT, timing=timing, board_uid=uid, build_id="ab", run=f"{timing}{uid}"
    )
    return [Row(context, metric) for metric in metrics]


def test_layers_of_one_image_stand_side_by_side() -> None:
    layer, other = (Metric(f"cycles.layer.{name}", 1000, "cycle") for name in ("pool", "conv"))
    here = rows("silicon", UID, replace(layer, value=1030), replace(other, value=1001))
    foreign = rows("silicon", "ff", replace(layer, value=9))
    found = runs.layers([*rows("modelled", "", layer, other), *here, *foreign], UID)
    assert [(one.name, one.difference, round(one.part, 3)) for one in found] == [
        ("pool", 30, 0.03),
        ("conv", 1, 0.001),
    ]
    assert runs.layers(here, UID) == []


def test_runs_on_a_board_fill_in_what_a_check_cannot_see() -> None:
    metrics = (
        Metric("cycles", 5, "cycle"),
        Metric("link.resends", 2, ""),
        Metric("time.flash", 3, "s"),
    )
    found = {one.name: one for one in runs.of(rows("silicon", UID, *metrics), UID)}
    assert {name: one.good for name, one in found.items()} == {
        "runs": True,
        "resends": False,
        "flashing": True,
    }
    assert list(runs.of(rows("modelled", UID, *metrics), UID)) == []


@pytest.mark.parametrize(
    ("board", "arena_bytes", "wrong", "good"),
    [
        ("stm32f429i_disc1", 1_449_472, 0, True),
        ("stm32f429i_disc1", 1_449_472, 3, False),
        ("stm32f429i_disc1", 109_056, 0, None),
        ("stm32f439", 1_449_472, 0, None),
    ],
)
def test_a_run_whose_activations_are_in_the_sdram_shows_it(
    board: str, arena_bytes: int, wrong: int, good: bool | None
) -> None:
    metrics = (
        Metric("cycles", 5, "cycle"),
        Metric("ram.paper", arena_bytes, "B"),
        Metric("output.mismatches", wrong, ""),
    )
    ran = [
        replace(row, context=replace(row.context, board=board))
        for row in rows("silicon", UID, *metrics)
    ]
    found = {one.name: one.good for one in runs.of(ran, UID)}
    assert found.get("sdram") is good


def test_the_report_has_every_assumption_look_and_layer(tmp_path: Path) -> None:
    from hil.config.inventory import Unit

    findings = (Finding("sram1 loads", False, "9", 9.0, 8.0, "cycle"),)
    checked = check.Checked(Unit("desk", "stm32f439", "p"), findings, UID, "ST-LINK", "silicon")
    layer = runs.Layer("face_m4", "pool", 1030, 1000)
    report = silicon_report.gathered(checked, [Finding("runs", True, "1", 1)], [layer])
    path = tmp_path / "silicon-report.csv"
    silicon_report.write(report, path)
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1 + len(ledger.ASSUMPTIONS) + 2 + 1
    assert re.search(rf"{UID},ST-LINK,silicon,look,sram1 loads,bad,9,8,1,cycle,9\n", text)
    assert ",layer,face_m4 pool,,1030,1000,30,cycle,+3.000%\n" in text
    assert checked.good


CRC_SOURCE = """
function start
1: ldrb r4,[r0]
 adds r0,#1
 eors r2,r4
 movs r5,#8
2: lsrs r2,r2,#1
 bcc 3f
 eors r2,r3
3: subs r5,#1
 bne 2b
 cmp r0,r1
 bne 1b
 mvns r2,r2
 bkpt 0
"""


def test_the_chip_computes_a_checksum_as_zlib_does(target: EmulatedTarget) -> None:
    assert ram_program._CRC in thumb.flash_bytes(thumb.assemble(CRC_SOURCE))
    pyocd = target.debugger._target
    place = BOARD.sram.address + 0x100
    for data in (b"123456789", b"\0", bytes(range(256)) * 5):
        target.debugger.write(place, data)
        found = ram_program.checksum(pyocd, BOARD.sram.address, place, len(data))
        assert found == zlib.crc32(data)


def test_flash_is_verified_by_the_chip_and_a_wrong_checksum_is_no_pass(
    target: EmulatedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    debugger, piece = target.debugger, Segment(BOARD.flash.address, bytes(range(200)))
    monkeypatch.setattr(debugger, "_checksums", True)
    reads: list[Segment] = []
    monkeypatch.setattr(debugger, "_read_back", reads.append)
    debugger.program([piece])
    assert reads == []
    monkeypatch.setattr(ram_program, "checksum", lambda *_: 0)
    with pytest.raises(FlashError, match="the chip's checksum of 200 B at 0x08000000 is wrong"):
        debugger.program([piece])
    assert reads == [piece]
