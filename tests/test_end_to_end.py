"""The whole way on the emulated board, and what happens when something on it is wrong."""

import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from hil import paths
from hil.build import firmware
from hil.build.image import Image
from hil.compiler import emit
from hil.compiler.plan.stack import all_in_bytes
from hil.errors import FlashError, Verdict
from hil.results import details, metrics, rules, table
from hil.run import judge
from hil.run.measurement import Measurement, Prepared
from hil.run.session import Session
from hil.targets.emulator.target import EmulatedTarget

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "pytest", "hil/", "--board=stm32f439", "-p", "no:cacheprovider"]
LAYER = """
model = "rnnpool_layer"

[variant]
rows = 24
columns = 30
channels = 3
"""
METRICS = {
    "cycles",
    "latency",
    "macs",
    "params",
    "ram.arena",
    "ram.static",
    "ram.stack",
    "ram.total",
    "ram.paper",
    "flash.code",
    "flash.weights",
    "flash.total",
    "output.mismatches",
    "output.cosine",
    "link.resends",
    "time.build",
    "time.start",
    "time.end",
    "time.flash",
    "time.load",
    "time.run",
}


def usual_options(csv: Path, scenario: str, **others: object) -> Namespace:
    """The command line's options where nothing is asked for, but for those that are given."""
    unset = ("input", "checkpoint", "calibration", "history_dir", "iterations", "budget")
    of_desk = ("probe", "port", "inventory", "renode")
    said: dict[str, object] = {
        **{f"hil_{name}": None for name in (*unset, *of_desk)},
        "hil_board": "stm32f439",
        "hil_target": "emulator",
        "hil_scenario": [scenario],
        "hil_all": False,
        "hil_tag": [],
        "hil_toolchain": "zig",
        "hil_contracts": False,
        "hil_no_cache": False,
        "hil_csv": csv,
        "hil_timeout": 60.0,
        "hil_retries": 0,
        "hil_lock_wait": 0.0,
    }
    return Namespace(**(said | others))


def open_session(directory: Path, toolchain: str = "zig", scenario: str = "face_m4") -> Session:
    csv = directory / "results.csv"
    return Session.from_options(usual_options(csv, scenario, hil_toolchain=toolchain))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return open_session(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="module")
def prepared(session: Session) -> Prepared:
    return session.prepare(session.scenarios[0])


@pytest.fixture(scope="module")
def good(session: Session, prepared: Prepared) -> Measurement:
    return measure(session, prepared)


def measure(session: Session, prepared: Prepared) -> Measurement:
    with session.flashed(prepared) as device:
        return session.measure(prepared, device)


def verdicts(result: Measurement) -> set[Verdict]:
    return {metric.verdict for metric in judge.judge(result)} - {Verdict.PASS}


def test_the_board_answers_with_the_integer_references_outputs(good: Measurement) -> None:
    assert good.outputs.size == 18_000
    assert np.array_equal(good.outputs, good.prepared.expected)
    assert verdicts(good) == set()


def test_a_plan_states_at_least_the_memory_that_a_run_takes_all_in(good: Measurement) -> None:
    taken = next(metric.value for metric in judge.judge(good) if metric.name == "ram.total")
    stated = all_in_bytes(good.prepared.compiled.plan)
    assert stated - 1_000 < taken <= stated


def test_the_cycles_of_the_layers_add_up_to_the_inference(good: Measurement) -> None:
    layers = sum(layer.cycles for layer in good.layers)
    assert layers <= good.cycles
    assert layers > 0.999 * good.cycles
    assert sum(layer.macs for layer in good.layers) == good.prepared.program.macs


def test_the_details_beside_the_rows_agree_with_them(session: Session, good: Measurement) -> None:
    assert session.store is not None
    found = details.read(session.store.csv, session.identity.run, "face_m4")
    assert found is not None
    assert [(one.name, one.cycles) for one in found.layers] == [
        (layer.name, layer.cycles) for layer in good.layers
    ]
    for one in found.layers:
        assert sum(one.causes.values()) == pytest.approx(one.cycles, abs=100)
    image, plan = good.prepared.image, good.prepared.compiled.plan
    held = dict.fromkeys(found.regions, 0)
    for holding in found.holdings:
        held[holding.region] += holding.bytes
    assert held["flash"] == image.footprint.flash_total_bytes
    assert held["sram"] + held["ccm"] == sum(s.bytes for s in image.sections if s.in_ram)
    assert max(s.offset + s.bytes for s in found.spans if s.region == "sram") == plan.arena_bytes
    assert [noise.operator for noise in found.noise] == [
        operator.name for operator in good.prepared.program.operators
    ]
    assert found.picture is not None
    assert {box.finder for box in found.boxes} <= {"board", "float"}


def test_two_runs_count_the_same_cycles(
    session: Session, prepared: Prepared, good: Measurement
) -> None:
    again = measure(session, prepared)
    assert (again.cycles, again.layers) == (good.cycles, good.layers)
    assert again.stack_bytes == good.stack_bytes


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    ["densenet_small", "mnv1_quarter", "mlperf_vww", "mlperf_ic", "mlperf_kws", "mlperf_ad"],
)
def test_small_networks_of_other_kinds_equal_the_reference(tmp_path: Path, scenario: str) -> None:
    session = open_session(tmp_path, scenario=scenario)
    result = measure(session, session.prepare(session.scenarios[0]))
    assert np.array_equal(result.outputs, result.prepared.expected)
    assert verdicts(result) == set()


@pytest.mark.slow
@pytest.mark.gcc
def test_gcc_and_zig_give_the_same_outputs(tmp_path: Path, good: Measurement) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    session = open_session(tmp_path, "gcc")
    result = measure(session, session.prepare(session.scenarios[0]))
    assert np.array_equal(result.outputs, good.outputs)
    assert verdicts(result) == set()


def test_a_flipped_bit_of_a_weight_is_a_mismatch(
    tmp_path: Path, session: Session, prepared: Prepared
) -> None:
    damaged = replace(prepared, image=with_a_flipped_weight(prepared, tmp_path / "damaged.elf"))
    assert damaged.image.build_id == prepared.image.build_id
    assert verdicts(measure(session, damaged)) == {Verdict.MISMATCH}
    assert "outputs of pool (rnnpool)" in where_it_begins(session)


def where_it_begins(session: Session) -> str:
    """What the last measurement's row says of wrong outputs."""
    notes = [row.metric.note for row in session.rows if row.metric.name == "output.mismatches"]
    return notes[-1]


def with_a_flipped_weight(prepared: Prepared, elf: Path) -> Image:
    """The image with one bit of its largest weight array flipped, under the same build id."""
    content = bytearray(prepared.image.elf.read_bytes())
    content[middle_of_largest_array(prepared.image.elf, ".weights")] ^= 0x40
    elf.write_bytes(content)
    return Image.read(elf)


def middle_of_largest_array(path: Path, section_name: str) -> int:
    with path.open("rb") as file:
        elf = ELFFile(file)
        section, table = elf.get_section_by_name(section_name), elf.get_section_by_name(".symtab")
        assert section is not None
        assert isinstance(table, SymbolTableSection)
        index = elf.get_section_index(section_name)
        inside = [symbol for symbol in table.iter_symbols() if symbol["st_shndx"] == index]
        largest = max(inside, key=lambda symbol: symbol["st_size"])
        start = largest["st_value"] - section["sh_addr"] + section["sh_offset"]
        return int(start + largest["st_size"] // 2)


def test_a_changed_kernel_constant_is_a_mismatch(
    tmp_path: Path, session: Session, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "firmware"
    shutil.copytree(paths.FIRMWARE, sources)
    kernel = sources / "kernels/l2norm.c"
    text = kernel.read_text()
    assert text.count("1073741824.0F") == 1
    kernel.write_text(text.replace("1073741824.0F", "1073000000.0F"))
    monkeypatch.setattr(firmware, "FIRMWARE", sources)
    emit.write(prepared.program, prepared.compiled.plan, tmp_path / "model")
    image = firmware.build(tmp_path / "model", session.board, session.toolchain)
    assert verdicts(measure(session, replace(prepared, image=image))) == {Verdict.MISMATCH}
    assert "outputs of heads.norms." in where_it_begins(session)


def test_a_stale_image_on_the_board_is_a_flash_error(
    session: Session, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(prepared.image, build_id=bytes(20))
    program = EmulatedTarget.flash

    def forget_to_flash(target: EmulatedTarget, image: Image) -> None:
        assert image is newer
        program(target, prepared.image)

    monkeypatch.setattr(EmulatedTarget, "flash", forget_to_flash)
    with (
        pytest.raises(FlashError, match="the board runs image"),
        session.flashed(replace(prepared, image=newer)),
    ):
        pass
    outcomes = [row.metric for row in session.rows if row.metric.name == "outcome"]
    assert outcomes[-1].verdict is Verdict.FLASH


def test_the_command_judges_writes_and_passes(tmp_path: Path) -> None:
    csv, xml = tmp_path / "results.csv", tmp_path / "junit.xml"
    command = [*COMMAND, "--hil-scenario=face_m4", f"--hil-csv={csv}", f"--junitxml={xml}"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert answer.returncode == 0, answer.stdout
    assert "cosine to float" in answer.stdout
    frame = table.read(csv)
    assert set(frame["metric"]) >= METRICS
    assert set(frame["verdict"].dropna()) == {"pass"}
    assert xml.read_text().count("<testcase") == len(metrics.judged("modelled", 1))
    told = properties(xml)
    for row in table.load(csv):
        if row.metric.limit is not None:
            of_metric = told[f"of {row.metric.name}"]
            assert float(of_metric.pop("value")) == pytest.approx(row.metric.value)
            assert of_metric == {
                "verdict": "pass",
                "board": "stm32f439",
                "target": "emulator",
                "fingerprint": row.context.fingerprint,
            }
        known_late = row.metric.name == "time.end"  # the board is released behind the report
        if not (known_late or rules.is_part(row.metric.name) or row.metric.unit == "digest"):
            value = float(told["figures"][f"figure.{row.metric.name}"])
            assert value == pytest.approx(row.metric.value)


def properties(xml: Path) -> dict[str, dict[str, str]]:
    """A JUnit file's properties: of each metric some, and all figures together."""
    found: dict[str, dict[str, str]] = {"figures": {}}
    for case in ET.parse(xml).iter("testcase"):  # noqa: S314
        given = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        names = ("value", "verdict", "board", "target", "fingerprint")
        found[f"of {given['metric']}"] = {name: given[name] for name in names}
        found["figures"] |= {k: v for k, v in given.items() if k.startswith("figure.")}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_releases_the_board_and_keeps_what_was_measured(
    tmp_path: Path, number: signal.Signals
) -> None:
    layers = [tmp_path / "first.toml", tmp_path / "second.toml"]
    for layer in layers:
        layer.write_text(LAYER, encoding="utf-8")
    csv, xml = tmp_path / "results.csv", tmp_path / "junit.xml"
    command = [*COMMAND, "-n0", *(f"--hil-scenario={layer}" for layer in layers)]
    command += [f"--hil-csv={csv}", f"--junitxml={xml}", "--hil-iterations=40"]
    ours, theirs = os.openpty()  # stages are told on a terminal
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        printed = lines_of(ours)
        for _ in layers:
            next(line for line in printed if "running inference 1 of" in line)
        run.send_signal(number)
        rest = "".join(printed)
        assert run.wait(timeout=60) == 2
    assert "KeyboardInterrupt" in rest
    frame = table.read(csv)
    assert set(frame["scenario"]) == {"first", "second"}
    assert set(frame[frame["scenario"] == "second"]["metric"]) == {"outcome"}
    assert "<testcase" in xml.read_text()


def lines_of(terminal: int) -> Iterator[str]:
    """Yield what is printed on a terminal until nobody has it open any more."""
    with open(terminal, encoding="utf-8", errors="replace") as stream, suppress(OSError):  # EIO
        yield from stream
