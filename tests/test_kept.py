"""A compiled scenario in the cache: what changes it, what does not, what a warm run leaves out."""

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from test_imports import MODULES, ROOT, all_imports

from hil import paths
from hil.build import once
from hil.config import board, scenario
from hil.config.board import Board
from hil.config.scenario import Limits, Scenario
from hil.results import maps
from hil.run import compiled, inputs, kept
from hil.run.kept import Contents

BOARD = board.load("stm32f439")
TINY = """
model = "rnnpool_layer"
[variant]
rows = 8
columns = 8
channels = 4
patch = 4
stride = 4
hidden_row = 4
hidden_summary = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario's file, and a photograph and weights that one can change."""
    made = tmp_path_factory.mktemp("kept")
    (made / "tiny.toml").write_text(TINY, encoding="utf-8")
    (made / "photographs").mkdir()
    pixels = np.arange(3 * 24 * 24, dtype=np.uint32).reshape(24, 24, 3) % 251
    photograph = b"P6 24 24 255\n" + pixels.astype(np.uint8).tobytes()
    (made / "photograph.ppm").write_bytes(photograph)
    (made / "photographs" / "one.ppm").write_bytes(photograph)
    return made


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Scenario:
    return replace(scenario.load(str(folder / "tiny.toml")), input=str(folder / "photograph.ppm"))


# What it is named by

CHOICES: dict[str, Callable[[Scenario], Scenario]] = {
    "model": lambda one: replace(one, model="maxpool_layer"),
    "variant": lambda one: replace(one, variant=one.variant | {"rows": 16}),
    "seed": lambda one: replace(one, seed=1),
    "keep_weights": lambda one: replace(one, keep_weights=True),
    "input": lambda one: replace(one, input="moon"),
    "optimise": lambda one: replace(one, optimise="ram"),
    "stream": lambda one: replace(one, stream=True),
    "calibration": lambda one: replace(one, calibration=["moon"]),
    "quantise": lambda one: replace(one, quantise=["equalise"]),
    "output_names": lambda one: replace(one, output_names=["y"]),
    "labels": lambda one: replace(one, labels=["cat"]),
    "preprocessing": lambda one: replace(
        one, preprocessing=scenario.Preprocessing(8, 8, 4, (0, 0, 0), (1, 1, 1), None)
    ),
}
FILES: dict[str, tuple[str, Callable[[Scenario, Path], Scenario]]] = {
    "checkpoint": ("weights.pth", lambda one, path: replace(one, checkpoint=path)),
    "calibration_folder": (
        "photographs/one.ppm",
        lambda one, path: replace(one, calibration_folder=path.parent),
    ),
    "photograph": ("photograph.ppm", lambda one, path: replace(one, input=str(path))),
    "network of others": (
        "network.tflite",
        lambda one, path: replace(one, model=path.name, directory=path.parent),
    ),
}
NOT_READ = {
    *("name", "directory", "iterations", "default", "tags", "dataset", "limits"),
    *("limits_by_board", "paper", "tolerances", "boards"),
}
"""What compiling a scenario does not look at."""


@pytest.mark.parametrize("choice", CHOICES)
def test_another_choice_is_another_entry(tiny: Scenario, choice: str) -> None:
    assert inputs.digest(CHOICES[choice](tiny), BOARD) != inputs.digest(tiny, BOARD)


def test_every_entry_of_a_scenario_is_known_to_count_or_not_to() -> None:
    counted = {*CHOICES, "checkpoint", "calibration_folder"}
    assert counted | NOT_READ == set(Scenario.__dataclass_fields__)


@pytest.mark.parametrize("kind", FILES)
def test_another_byte_in_a_file_is_another_entry(folder: Path, tiny: Scenario, kind: str) -> None:
    name, using = FILES[kind]
    path = folder / name
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(before + b"1")
    chosen = using(tiny, path)
    first = inputs.digest(chosen, BOARD)
    path.write_bytes(before + b"22")
    second = inputs.digest(chosen, BOARD)
    path.write_bytes(before + b"1")
    assert first != second
    assert first == inputs.digest(chosen, BOARD)
    path.write_bytes(before)


@pytest.mark.parametrize(
    "other",
    [
        replace(BOARD, clock_hz=84_000_000),
        replace(BOARD, memories=BOARD.memories[:-1]),
        replace(BOARD, arena_outside=True),
    ],
)
def test_another_board_is_another_entry(tiny: Scenario, other: Board) -> None:
    assert inputs.digest(tiny, other) != inputs.digest(tiny, BOARD)


@pytest.mark.parametrize("distribution", ["numpy", "pillow", "tflite"])
def test_another_version_of_what_computes_is_another_entry(
    tiny: Scenario, monkeypatch: pytest.MonkeyPatch, distribution: str
) -> None:
    before = inputs.digest(tiny, BOARD)
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "0" if name == distribution else version(name)
    )
    assert inputs.digest(tiny, BOARD) != before


def version_of_torch(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    monkeypatch.setattr(inputs, "torch_version", lambda: version)


def test_what_another_torch_compiled_is_taken_only_without_torch(
    cache: Path, tiny: Scenario, compilations: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(tiny)
    version_of_torch(monkeypatch, "0")
    assert not kept.is_kept(tiny, BOARD)
    taken(tiny)
    assert len(compilations) == 2
    version_of_torch(monkeypatch, None)
    assert kept.is_kept(tiny, BOARD)
    taken(tiny)
    assert len(compilations) == 2
    assert not kept.is_kept(replace(tiny, seed=1), BOARD)
    assert len([*(cache / "scenarios").iterdir()]) == 2


def test_what_is_not_compiled_makes_no_other_entry(tiny: Scenario) -> None:
    told = replace(tiny, name="other", limits=Limits(latency_s=1), tags=["face"], iterations=3)
    assert inputs.digest(told, BOARD) == inputs.digest(tiny, BOARD)
    desk = replace(BOARD, probe_id="7", port="/dev/ttyACM0", lock_wait_s=1.0)
    assert inputs.digest(tiny, desk) == inputs.digest(tiny, BOARD)


def test_the_source_of_all_that_compiles_is_in_the_name() -> None:
    reached, rest = set(), {"hil.run.kept", "hil.run.compiled", "hil.models"}
    rest |= {name for name in MODULES if name.startswith("hil.models.")}  # imported by name
    while rest:
        name = rest.pop()
        reached.add(name)
        rest |= {one for one in all_imports()[name] if one in MODULES} - reached
    taken = set(inputs.sources(ROOT / "hil"))
    assert {MODULES[name] for name in reached} <= taken
    assert "hil.compiler.kernels.rnnpool" in reached


def test_a_changed_source_is_another_entry(
    tiny: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compiler").mkdir()
    (tmp_path / "targets").mkdir()
    names = []
    for module, content in (("compiler", "1"), ("compiler", "2"), ("targets", "3")):
        (tmp_path / module / "part.py").write_text(content)
        monkeypatch.setattr(paths, "__file__", str(tmp_path / "paths.py"))
        inputs._source.cache_clear()
        names.append(inputs.digest(tiny, BOARD))
    inputs._source.cache_clear()
    assert names[0] != names[1] == names[2]


# What is kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def made(tiny: Scenario) -> Contents:
    """The tiny scenario, compiled."""
    return kept.contents_of(compiled.compile_scenario(tiny, BOARD))


@pytest.fixture
def compilations(made: Contents, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each time that something is compiled; the outcome is ready."""
    found: list[None] = []

    def contents(_: object) -> Contents:
        found.append(None)
        for digest in made.maps.values():
            values = np.zeros(1, np.int8)
            path = maps._path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(values.tobytes())
        return made

    monkeypatch.setattr(compiled, "compile_scenario", lambda *_: None)
    monkeypatch.setattr(kept, "contents_of", contents)
    return found


def taken(chosen: Scenario, *, anew: bool = False) -> Contents:
    return kept.take_or_make(chosen, BOARD, lambda: None, anew=anew)[0]


def entry(cache: Path) -> Path:
    (file,) = (cache / "scenarios").iterdir()
    return file


def test_a_file_holds_all_of_it(made: Contents) -> None:
    data = kept.write(made)
    again = kept.read(data)
    assert kept.write(again) == data
    assert np.array_equal(again.expected, made.expected)
    assert again.network == made.network
    assert again.schedule == made.schedule
    assert again.sources == made.sources
    assert {"model.c", "weights.c", "weights.h", "kernels.S"} == set(made.sources)


def test_what_is_kept_is_not_compiled_again(
    cache: Path, tiny: Scenario, compilations: list[None]
) -> None:
    first = taken(tiny)
    second = taken(tiny)
    assert len(compilations) == 1
    assert kept.write(first) == kept.write(second)
    assert entry(cache).is_file()


def test_a_network_of_the_users_python_is_compiled_every_time(
    cache: Path, tiny: Scenario, compilations: list[None]
) -> None:
    for _ in range(2):
        taken(replace(tiny, model="nets.py:make"))
    assert len(compilations) == 2
    assert not (cache / "scenarios").exists()


def test_it_is_compiled_again_where_that_is_asked_for(
    cache: Path, tiny: Scenario, compilations: list[None]
) -> None:
    taken(tiny)
    taken(tiny, anew=True)
    assert len(compilations) == 2
    assert entry(cache).is_file()


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda _: b""])
def test_a_damaged_file_is_made_again(
    cache: Path, tiny: Scenario, compilations: list[None], damage: Callable[[bytes], bytes]
) -> None:
    taken(tiny)
    file = entry(cache)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    taken(tiny)
    assert len(compilations) == 2
    assert entry(cache).read_bytes() == whole


@pytest.mark.usefixtures("cache")
def test_a_file_of_another_kind_is_not_believed(tiny: Scenario, compilations: list[None]) -> None:
    (place,) = kept._places(tiny, BOARD)
    for content in (b"no archive", msgspec.json.encode({"network": 1})):

        def make(scratch: Path, content: bytes = content) -> Path:
            (scratch / "x").write_bytes(content)
            return scratch / "x"

        once.made_once(place, make, anew=True)
    taken(tiny)
    assert len(compilations) == 1


def test_maps_that_are_gone_are_made_again(
    cache: Path, tiny: Scenario, compilations: list[None]
) -> None:
    taken(tiny)
    next((cache / "maps").iterdir()).unlink()
    taken(tiny)
    assert len(compilations) == 2


# A run


NO_TORCH = """
import atexit
import sys

@atexit.register
def tell():
    heavy = {"torch", "pandas", "hypothesis"} & set(sys.modules)
    print(f"\\nloaded: {sorted(heavy)}", file=sys.__stderr__)
    for name in ("hil.run.session", "hil.suite.test_scenario"):
        print(f"{name} by {type(sys.modules[name].__spec__.loader).__name__}", file=sys.__stderr__)
"""


def run_tiny(pytester: pytest.Pytester, folder: Path, *options: str) -> pytest.RunResult:
    """Run the suite on the tiny scenario in a process of its own, which says what it loaded."""
    pytester.makepyfile(no_torch=NO_TORCH)
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess(
        *("--pyargs", "hil.suite", "--board=stm32f439", "--hil-target=emulator", *options),
        *(f"--hil-scenario={folder / 'tiny.toml'}", "-p", "no_torch", "-p", "no:cacheprovider"),
    )
    assert result.ret == 0
    return result


def artefacts(pytester: pytest.Pytester) -> dict[Path, bytes]:
    files = pytester.path / "build" / "hil" / "tiny"
    found = (path for path in files.rglob("*") if path.is_file())
    return {one.relative_to(files): one.read_bytes() for one in found if one.name != "uart.txt"}


def test_a_warm_run_imports_neither_torch_nor_hypothesis_and_says_where_its_files_are(
    pytester: pytest.Pytester, folder: Path
) -> None:
    run_tiny(pytester, folder)
    warm = run_tiny(pytester, folder, "--junitxml=report.xml")
    said = warm.stderr.str()
    assert "loaded: []" in said
    assert "hil.run.session by SourceFileLoader" in said, "pytest rewrote a module that is no test"
    assert "hil.suite.test_scenario by AssertionRewritingHook" in said
    warm.stdout.fnmatch_lines(["image, plan, inputs, outputs, UART: build/hil/tiny/"])
    cases = [*ET.parse(pytester.path / "report.xml").iter("testcase")]  # noqa: S314
    places = [
        one.attrib["value"]
        for case in cases
        for one in case.iter("property")
        if one.get("name") == "artefacts"
    ]
    assert len(places) == sum(case.find("skipped") is None for case in cases) > 1
    for name in ("firmware.elf", "firmware.map", "uart.txt"):
        assert (pytester.path / places[0] / name).is_file()
    assert len(set(places)) == 1


@pytest.mark.slow
def test_a_warm_run_leaves_the_files_of_one_that_takes_nothing_from_the_cache(
    pytester: pytest.Pytester, folder: Path
) -> None:
    cold = run_tiny(pytester, folder, "--hil-no-cache")
    assert "loaded: ['torch']" in cold.stderr.str()
    left = artefacts(pytester)
    run_tiny(pytester, folder)
    assert artefacts(pytester) == left
    names = {path.name for path in left}
    assert {"plan.txt", "firmware.elf", "expected.npy", "float.npy", "model.c"} <= names
