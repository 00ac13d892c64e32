"""The fixtures in tests of users: documented, of use, and in nobody's way."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hil.run.session
from hil import fixtures, plugin, targets
from hil.pytest_plugin import sharing

PAGE = Path(__file__).parent.parent / "docs/fixtures.md"
FILES = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LOADED = (hil.run.session, targets.find("emulator"))
"""Imported here once: pytester forgets what a run inside this process imports."""


@pytest.mark.slow
def test_the_example_of_the_document_runs(pytester: pytest.Pytester) -> None:
    files = FILES.findall(PAGE.read_text(encoding="utf-8"))
    assert [name for name, _ in files] == ["tiny.toml", "test_layers.py"]
    for name, content in files:
        (pytester.path / name).write_text(content)
    result = pytester.runpytest_subprocess("--hil-timeout=60")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["tiny on stm32f439 (emulator, modelled cycles, *", "results: *"])
    assert "cycles.layer.pool" in (pytester.path / "build/hil/results.csv").read_text()


def test_the_document_names_every_fixture() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in (*fixtures.__all__, *(n for n in vars(plugin) if n.startswith("hil_"))):
        assert f"`{name}`" in text


# Fixtures and options of others


def test_a_board_and_an_image_of_the_user_stay_what_they_are(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def image():
            return "a picture"
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(params=["oak", "ash"])
        def board(request):
            return request.param

        @pytest.mark.parametrize("scenario", [1, 2])
        def test_one(board, image, scenario, request):
            assert (board, image) in {("oak", "a picture"), ("ash", "a picture")}
            assert not any(name.startswith("hil_") for name in request.fixturenames)
        """
    )
    pytester.runpytest().assert_outcomes(passed=4)
    assert not (pytester.path / "build").exists()


@pytest.mark.parametrize("name", ["board", "image", "device", "measurement", "scenario", "hold"])
def test_nobody_is_given_a_fixture_of_a_common_name(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(f"def test_one({name}): pass")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*fixture '{name}' not found*"])


OTHERS_OPTION = """
    def pytest_addoption(parser):
        parser.addoption("--board", {how})
"""


@pytest.mark.parametrize("how", ["default='pine'", "choices=['oak', 'pine'], default='pine'"])
@pytest.mark.parametrize("where", ["conftest", "plugin"])
def test_anothers_option_board_is_its_own(
    pytester: pytest.Pytester, how: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--board", "oak", "--hil-board=stm32f439"]
    if where == "conftest":
        pytester.makeconftest(OTHERS_OPTION.format(how=how))
    else:
        pytester.makepyfile(others_plugin=OTHERS_OPTION.format(how=how))
        monkeypatch.setenv("PYTHONPATH", str(pytester.path))
        arguments += ["-p", "others_plugin"]
    pytester.makepyfile(
        """
        def test_one(pytestconfig, hil_board):
            assert pytestconfig.getoption("--board") == "oak"
            assert hil_board.name == "stm32f439"
        """
    )
    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1)


@pytest.mark.parametrize("arguments", [["--board", "stm32f439"], ["--hil-board=stm32f439"], []])
def test_a_board_is_named_either_way(pytester: pytest.Pytester, arguments: list[str]) -> None:
    pytester.makepyfile("def test_one(hil_board): assert hil_board.name == 'stm32f439'")
    pytester.runpytest(*arguments).assert_outcomes(passed=1)


def test_short_names_are_given_where_they_are_asked_for(pytester: pytest.Pytester) -> None:
    pytester.mkdir("on_boards").joinpath("conftest.py").write_text(
        "from hil.fixtures import *\n", encoding="utf-8"
    )
    test = "def test_one(board, scenario): assert board.clock_hz and scenario.name == 'face_m4'\n"
    (pytester.path / "on_boards/test_here.py").write_text(test)
    (pytester.path / "test_there.py").write_text(test)
    result = pytester.runpytest("--hil-scenario=face_m4")
    result.assert_outcomes(passed=1, errors=1)


# Scenarios


def test_a_marker_names_the_scenarios_of_a_test(pytester: pytest.Pytester) -> None:
    (pytester.path / "mine.toml").write_text('model = "face_m4"\niterations = 2\n')
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.hil_scenario("mine.toml", "face_a")
        def test_one(hil_scenario):
            pass
        """
    )
    result = pytester.runpytest("-v", "--strict-markers")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_one[[]mine[]] PASSED*", "*test_one[[]face_a[]] PASSED*"])


def test_a_scenario_asked_for_twice_is_run_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(hil_scenario): pass")
    result = pytester.runpytest("--hil-scenario=face_m4", "--hil-scenario=face_m4")
    result.assert_outcomes(passed=1)


def test_two_scenarios_of_one_name_are_refused(pytester: pytest.Pytester) -> None:
    (pytester.path / "face_m4.toml").write_text('model = "face_m4"\nseed = 7\n')
    pytester.makepyfile("def test_one(hil_scenario): pass")
    result = pytester.runpytest(
        "--board=stm32f439", "--hil-scenario=face_m4", "--hil-scenario=face_m4.toml"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*two scenarios are called face_m4: face_m4 and face_m4.toml*"])


@pytest.mark.parametrize("option", ["--hil-scenario=face_m5", "--hil-board=stm32f999"])
def test_a_wrong_name_is_told_without_a_traceback(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("def test_one(hil_scenario): pass")
    result = pytester.runpytest(option)
    assert result.ret != 0
    told = result.stdout.str() + result.stderr.str()
    assert "unknown " in told
    assert "known: " in told
    assert "Traceback" not in told


def test_a_fixture_asked_for_too_late_says_how_to_ask(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(request): request.getfixturevalue('hil_image')")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*name the fixture among the test's arguments*"])


def test_workers_of_xdist_share_no_scenario(pytester: pytest.Pytester) -> None:
    """Each would measure it again, and its rows would stand twice."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.hil_scenario("face_m4", "face_a", "face_quant")
        @pytest.mark.parametrize("number", range(3))
        def test_one(hil_scenario, number):
            with open("log", "a") as log:
                print(hil_scenario.name, os.environ["PYTEST_XDIST_WORKER"], file=log)
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", "--board=stm32f439")
    result.assert_outcomes(passed=9)
    pairs = {tuple(line.split()) for line in (pytester.path / "log").read_text().splitlines()}
    assert sorted(scenario for scenario, _ in pairs) == ["face_a", "face_m4", "face_quant"]


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("test_x.py::test_metric[face_m4-output.mismatches]", "face_m4"),
        ("test_x.py::test_image[face_m4]", "face_m4"),
        ("test_x.py::test_plain", "test_x.py::test_plain"),
    ],
)
def test_tests_go_to_workers_by_scenario(nodeid: str, group: str) -> None:
    assert sharing.group_of(nodeid) == group


# Runs that have nothing to do with boards


def test_the_plugin_loads_nothing_where_nothing_is_asked_of_it(tmp_path: Path) -> None:
    script = (
        "import sys, pytest\n"
        "pytest.main(['--co', '-q', '-p', 'no:cacheprovider'])\n"
        "ours = {name for name in sys.modules if name.partition('.')[0] == 'hil'}\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyocd', 'unicorn', 'serial', 'msgspec'}\n"
        "print(*sorted(ours))\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ours, heavy = answer.stdout.splitlines()[-2:]
    assert heavy == "heavy: []"
    parts = {f"pytest_plugin.{part}" for part in ("progress", "refusal", "baselines")}
    faces = {"options", "plugin", "pytest_plugin", *parts}
    known = {"hil", *(f"hil.{name}" for name in {*faces, "errors", "numbers", "paths", "targets"})}
    assert set(ours.split()) <= known
    assert "hardware in the loop" not in answer.stdout
