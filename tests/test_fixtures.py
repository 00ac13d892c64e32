"""The fixtures in tests of users: documented, of use, and in nobody's way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hil.run.session
from hil import fixtures, plugin, targets
from hil.paths import BOARDS
from hil.pytest_plugin import sharing

PAGE = Path(__file__).parent.parent / "docs/pytest.md"
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


@pytest.mark.parametrize("name", fixtures.__all__)
def test_a_short_name_of_another_plugin_is_its_own(
    pytester: pytest.Pytester, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        others_plugin=f"import pytest\n@pytest.fixture\ndef {name}(): return 'of another'\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    pytester.makepyfile(f"def test_one({name}): assert {name} == 'of another'")
    pytester.runpytest_subprocess("-p", "others_plugin").assert_outcomes(passed=1)


def test_pytest_explains_every_fixture(pytester: pytest.Pytester) -> None:
    lines = pytester.runpytest("--fixtures").outlines
    for name in (*fixtures.__all__, *(n for n in vars(plugin) if n.startswith("hil_"))):
        at = next(i for i, line in enumerate(lines) if line.startswith((f"{name} ", f"{name}:")))
        assert len(lines[at + 1].split()) > 3, name


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


def test_short_names_are_given_without_being_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test_one(board, scenario): assert board.clock_hz and scenario.name == 'face_m4'"
    )
    pytester.runpytest("--hil-scenario=face_m4").assert_outcomes(passed=1)


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


def test_two_scenarios_of_one_name_keep_apart(pytester: pytest.Pytester) -> None:
    for folder in ("ours", "theirs"):
        pytester.mkdir(folder).joinpath("face_m4.toml").write_text('model = "face_m4"\nseed = 7\n')
    pytester.makepyfile("def test_one(hil_scenario): pass")
    named = ("face_m4", "ours/face_m4.toml", "theirs/../ours/face_m4.toml", "theirs/face_m4.toml")
    result = pytester.runpytest("-v", *(f"--hil-scenario={one}" for one in named))
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [f"*[[]{one}[]] PASSED*" for one in ("face_m4", "ours.face_m4", "theirs.face_m4")]
    )


def test_a_marker_names_scenario_and_board_whatever_the_command_line_says(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.hil(scenario="face_m4", board="nucleo_l4r5zi")

        def test_one(scenario, board):
            assert (scenario.name, board.name) == ("face_m4", "nucleo_l4r5zi")

        @pytest.mark.hil(scenario=["face_a", "vww_base"])
        def test_two(scenario, board):
            assert board.name == "nucleo_l4r5zi"

        @pytest.mark.hil(board=["stm32f439", "nucleo_f439zi"])
        def test_three(scenario, board):
            assert scenario.name == "face_m4"
        """
    )
    for arguments in ([], ["--board=stm32f407g_disc1"]):
        result = pytester.runpytest("-v", "-p", "no:randomly", *arguments)
        result.assert_outcomes(passed=5)
        for name in ("one[[]face_m4-nucleo_l4r5zi[]]", "two[[]vww_base-nucleo_l4r5zi[]]"):
            result.stdout.fnmatch_lines([f"*test_{name} PASSED*"])


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ('"face_m4"', "does not take 'face_m4'"),
        ('scenarios="face_m4"', "does not take scenarios"),
        ("scenario=[]", "names none"),
        ("scenario=3", "names none"),
        ('scenario="face_m5"', "unknown scenario 'face_m5'"),
        ('board="stm32f999"', "unknown board 'stm32f999'"),
    ],
)
def test_a_wrong_marker_is_told_when_tests_are_collected(
    pytester: pytest.Pytester, marker: str, complaint: str
) -> None:
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.hil({marker})\ndef test_one(scenario): pass\n"
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{complaint}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("how", ["path", "HIL_BOARDS", "boards"])
def test_a_board_of_the_user_is_found(
    pytester: pytest.Pytester, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.mkdir("boards" if how == "boards" else "elsewhere")
    text = (BOARDS / "stm32f439.toml").read_text(encoding="utf-8")
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    if how == "HIL_BOARDS":
        monkeypatch.setenv("HIL_BOARDS", os.pathsep.join([str(pytester.path), str(folder)]))
    pytester.makepyfile("def test_one(board): assert board.name == 'mine'")
    named = "elsewhere/mine.toml" if how == "path" else "mine"
    pytester.runpytest(f"--board={named}").assert_outcomes(passed=1)


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
    names = (
        "progress",
        "refusal",
        "baselines",
        "marked",
        "outcomes",
        "sessions",
        "short_names",
        "cores",
        "rewriting",
        "garbage",
    )
    parts = {f"pytest_plugin.{name}" for name in names}
    faces = {"fixtures", "options", "plugin", "pytest_plugin", *parts}
    known = {"hil", *(f"hil.{name}" for name in {*faces, "errors", "numbers", "paths", "targets"})}
    assert set(ours.split()) <= known
    assert "hardware in the loop" not in answer.stdout
