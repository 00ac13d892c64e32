import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from hil import models
from hil.config import scenario
from hil.errors import UsageError
from hil.results.rules import USUAL, Rule
from hil.run import against, preflight


def test_face_m4_stands_beside_the_papers_figures_and_is_held_to_its_own() -> None:
    face = scenario.load("face_m4")
    assert face.paper.latency_s == 10.45
    assert face.paper.ram_bytes == 188_160
    assert face.limits.latency_s is not None
    assert face.limits.latency_s < 0.6
    assert face.checkpoint is None


def test_every_scenario_of_ours_has_limits_of_time_and_memory() -> None:
    for name in scenario.names():
        limits = scenario.load(name).limits
        assert None not in {limits.latency_s, limits.ram_bytes, limits.flash_bytes}
        # Of two logits the cosine is their sign: noise and clipping hold those.
        assert limits.cosine is not None or "vww" in name


def test_every_limit_of_a_file_is_held_on_any_board(tmp_path: Path) -> None:
    names = [one.name for one in fields(scenario.Limits)]
    limits = "".join(f"{name} = 1\n" for name in names)
    path = tmp_path / "all.toml"
    path.write_text(f'model = "face_m4"\n[limits]\n{limits}[limits.on.other]\n{limits}')
    found = scenario.load(str(path))
    for held in (found.limits, found.limits_on("stm32f439"), found.limits_on("other")):
        assert set(vars(held).values()) == {1}


def test_a_board_may_have_other_limits() -> None:
    face = scenario.load("face_m4")
    slower = face.limits_on("nucleo_l4r5zi")
    assert face.limits_on("stm32f439") == face.limits
    assert slower.latency_s is not None
    assert face.limits.latency_s is not None
    assert 1.3 < slower.latency_s / face.limits.latency_s < 1.4  # 168 MHz over 120
    assert replace(slower, latency_s=face.limits.latency_s) == face.limits


def test_an_unknown_scenario_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"known: .*face_m4"):
        scenario.load("face_m5")


def test_a_scenario_is_also_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('model = "face_m4"\ncheckpoint = "trained.pth"\n')
    mine = scenario.load(str(path))
    assert mine.name == "mine"
    assert mine.checkpoint == tmp_path / "trained.pth"


def test_names_too_long_for_any_system_are_those_of_nothing(tmp_path: Path) -> None:
    long = "x" * 300
    path = tmp_path / "mine.toml"
    path.write_text(f'model = "face_or_not"\ncheckpoint = "{long}"\ndataset = "{long}"\n')
    mine = scenario.load(str(path))
    assert mine.dataset == Path(long)
    with pytest.raises(UsageError, match="there is no checkpoint"):
        preflight.check([mine])


_OWN = 'model = "m:f"\n[input]\nrows = 4\ncolumns = 4\nchannels = 3\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('input = "astronaut"', "wrong.toml: model is needed: the file lacks it"),
        ("model = ", "not valid TOML"),
        (f"model = {'9' * 5000}", "not valid TOML"),
        ('model = "face_m4"\nlatency = 1', r":2: latency is not an entry there\n  known: model"),
        ('model = "face_m4"\nname = ".."', ":2: name is not an entry there"),
        ('model = "face_m4"\nlimits = 5', ":2: limits = 5: expected a table, got int"),
        ('model = "face_m4"\npaper = "x"', ":2: paper = 'x': expected a table, got a string"),
        ('model = "face_m4"\ncheckpoint = 3', ":2: checkpoint = 3: expected a string, got int"),
        ('model = "face_m4"\ncheckpoint = "~nobody_of_that_name/x"', "home directory"),
        ('model = "face_m4"\nseed = "one"', ":2: seed = 'one': expected int, got a string"),
        ('model = "face_m4"\niterations = true', "iterations = True: expected int, got bool"),
        ('model = "face_m4"\niterations = 0', ":2: iterations = 0: expected int >= 1"),
        ('model = "face_m4"\niterations = -1', "iterations = -1: expected int >= 1"),
        ('model = "face_m4"\noptimise = "size"', "optimise = 'size': expected .*'ram' or 'speed'"),
        ('model = "face_m4"\noptimise = -3', "optimise = -3: expected int >= 1"),
        ('model = "face_m4"\ncalibration = [1, 2]', r"calibration\[0\] = 1: expected a string"),
        ('model = "face_m4"\n[limits]\nram = 1', r":3: limits.ram is not .*\n  known: latency_s"),
        (
            'model = "face_m4"\n[limits]\nram_bytes = "all"',
            ":3: limits.ram_bytes = 'all': expected",
        ),
        (
            'model = "face_m4"\n[limits]\nlatency_s = -1',
            "limits.latency_s = -1: expected float > 0",
        ),
        ('model = "face_m4"\n[limits]\nlatency_s = nan', "limits.latency_s = nan: expected float"),
        ('model = "face_m4"\n[limits]\nlatency_s = inf', "limits.latency_s = inf: expected float"),
        ('model = "face_m4"\n[limits]\ncosine = 1.5', "limits.cosine = 1.5: expected float <= 1"),
        ('model = "m:f"\n[input]\nrows = 4\ncolumns = 4', "input.channels is needed"),
        ('model = "m:f"\n[input]\nrows = 4\ncolumns = 4\nchannels = 0', "input.channels = 0"),
        (_OWN + "range = [1, 0]", r":2: input is wrong: range = \(1.0, 0.0\) must rise"),
        (_OWN + "mean = [1, 2]", "input.mean = .*: expected a list of length >= 3"),
        (_OWN + "std = 0", "input.std = 0: expected float > 0"),
        (_OWN + "crop_from = 3", "crop_from = 3 is less than rows or columns"),
        (
            'model = "m:f"\n[output]\nlabels = ["a", "a"]',
            "output is wrong: labels has one entry tw",
        ),
        ('model = "m:f"\nkeep_weights = true\ncheckpoint = "a"', "exclude each other"),
    ],
)
def test_a_wrong_scenario_file_is_told_what_is_wrong(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        scenario.load(str(path))


@pytest.mark.parametrize("aim", ["speed", "ram", 131_072])
def test_a_scenario_says_what_its_schedule_is_for(tmp_path: Path, aim: str | int) -> None:
    path = tmp_path / "mine.toml"
    text = f'"{aim}"' if isinstance(aim, str) else str(aim)
    path.write_text(f'model = "face_m4"\noptimise = {text}\n[limits]\nlatency_s = 1\n')
    assert scenario.load(str(path)).optimise == aim


def test_the_command_line_overrides_the_file() -> None:
    other = scenario.load("face_m4").override(image="coffee", iterations=3)
    assert (other.input, other.iterations, other.model) == ("coffee", 3, "face_m4")


def test_fewer_than_one_iteration_is_refused() -> None:
    with pytest.raises(UsageError, match="0 iterations"):
        scenario.load("face_m4").override(iterations=0)


def test_a_scenario_says_what_its_network_takes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(_OWN + 'image = "coffee"\nrange = [-1, 1]\nmean = 0.5\nstd = [1, 2, 0.5]\n')
    mine = scenario.load(str(path))
    assert mine.input == "coffee"
    assert mine.preprocessing == scenario.Preprocessing(
        4, 4, 3, (191.25,) * 3, (127.5, 255.0, 63.75), None
    )


@pytest.mark.parametrize("name", [".", " ", 'a"b', "-a"])
def test_a_scenario_has_a_name_that_files_can_have(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text('model = "face_m4"\n')
    with pytest.raises(UsageError, match="is no name of a scenario"):
        scenario.load(str(path))


def test_a_photograph_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    for name in ("mine.png", "astronaut"):
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "mine.toml"
    path.write_text(
        'model = "face_m4"\ninput = "mine.png"\n'
        'calibration = ["mine.png", "other.png", "astronaut"]\n'
    )
    mine = scenario.load(str(path))
    assert mine.input == str(tmp_path / "mine.png")
    beside = [str(tmp_path / name) for name in ("mine.png", "other.png")]
    assert mine.calibration == [*beside, "astronaut"]


def test_a_scenario_can_keep_out_of_the_runs_that_name_none(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text('model = "face_m4"\n')
    (tmp_path / "heavy.toml").write_text('model = "face_quant"\ndefault = false\n')
    assert scenario.names(tmp_path) == ["heavy", "quick"]
    (tmp_path / "there.toml").write_text('model = "face_a"\ndefault = ["stm32f439"]\n')
    assert scenario.defaults(tmp_path, board="nucleo_l4r5zi") == ["quick"]
    assert scenario.defaults(tmp_path, board="stm32f439") == ["quick", "there"]


def test_a_scenario_for_some_boards_is_met_on_no_other_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "any.toml").write_text('model = "face_m4"\ntags = ["small"]\n')
    (tmp_path / "large.toml").write_text(
        'model = "face_c"\nboards = ["stm32f429i_disc1", "mine"]\ntags = ["large"]\n'
    )
    assert scenario.names(tmp_path) == scenario.names(tmp_path, board="mine") == ["any", "large"]
    assert scenario.names(tmp_path, board="stm32f439") == ["any"]
    assert scenario.defaults(tmp_path, board="stm32f439") == ["any"]
    assert scenario.tagged([], tmp_path, board="stm32f439") == ["any"]
    assert scenario.tagged(["large"], tmp_path, board="mine") == ["large"]
    with pytest.raises(UsageError, match=r"unknown tag 'large'\n  known: small"):
        scenario.tagged(["large"], tmp_path, board="stm32f439")
    assert scenario.load("large", tmp_path).name == "large"


def test_face_c_is_for_the_board_whose_memory_holds_it() -> None:
    assert "face_c" in scenario.names(board="stm32f429i_disc1")
    assert "face_c" not in scenario.names(board="stm32f439")


def test_every_rnnpool_model_that_fits_the_papers_board_runs_unnamed_on_it() -> None:
    classifiers = ["mnv2_rnnpool_w90", "vww_last_rnnpool", "vww_rnnpool", "vww_rnnpool_last"]
    detectors = ["face_a", "face_m4", "face_quant", "face_qvga"]
    assert scenario.defaults(board="stm32f439") == [*detectors, *classifiers]
    assert scenario.defaults(board="nucleo_l4r5zi") == ["face_m4"]


def test_a_scenario_names_the_variant_of_its_network() -> None:
    assert scenario.load("face_quant").variant == {"order": "columns_first"}


def test_a_scenario_names_photographs_to_calibrate_on(tmp_path: Path) -> None:
    assert scenario.load("densenet_small").calibration == []
    assert scenario.load("face_quant").calibration == ["faces"]
    assert scenario.load("face_quant").quantise == ["input"]
    path = tmp_path / "mine.toml"
    path.write_text('model = "face_m4"\ncalibration = 3\n')
    with pytest.raises(UsageError, match="calibration = 3: expected"):
        scenario.load(str(path))


@pytest.mark.parametrize(
    ("model", "variant", "said"),
    [
        ("rnnpool_layer", {"rows": 0}, "rows = 0"),
        ("rnnpool_layer", {"rows": "x"}, "rows = 'x'"),
        ("rnnpool_layer", {"rows": 1 << 40}, "rows = 1099511627776"),
        ("rnnpool_layer", {"rows": 4, "patch": 6}, "a patch of 6x6 pixels is larger than the map"),
        ("strided_layer", {"columns": 4, "patch": 6}, "larger than the map, 112x4"),
        ("maxpool_layer", {"rows": 3, "stride": 4}, "a patch of 4x4 pixels"),
        ("face_quant", {"hidden": 0}, "hidden = 0"),
        ("mnv2_rnnpool", {"width": 0.0}, "width = 0.0"),
        ("vww_rnnpool", {"stem": -8}, "stem = -8"),
        ("densenet121_base", {"layers": [2, 0, 2, 2]}, "layers ="),
    ],
)
def test_a_variant_that_no_network_can_have_is_a_usage_error(
    model: str, variant: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        models.structure(model, **variant)


def test_an_unknown_variant_of_a_network_is_told_with_those_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"unknown variant of face_quant 'ordre'\n  known: cell, hidden"
    ):
        models.structure("face_quant", ordre="columns_first")


def test_a_scenario_says_by_how_much_a_metric_may_move(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'model = "face_m4"\n[tolerance."cycles"]\nrelative = 0.01\n'
        '[tolerance."ram.*"]\nabsolute = 256\nbetter = "neither"\n'
    )
    rules = against.rules_of([scenario.load(str(path))])
    assert rules.of("own", "cycles") == Rule("lower", relative=0.01)
    assert rules.of("own", "ram.total") == Rule("neither", absolute=256)
    assert rules.of("own", "flash.total") == USUAL.of("own", "flash.total")
    path.write_text('model = "face_m4"\n[tolerance."cycles"]\nrelative = -1\n')
    with pytest.raises(UsageError, match="tolerance"):
        scenario.load(str(path))
