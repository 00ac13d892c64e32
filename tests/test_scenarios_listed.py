"""`hil scenarios`, and tags that choose scenarios."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_results import CONTEXT

import hil.run.session  # noqa: F401  # numpy loads once per process
from hil import cli
from hil.config import board, scenario
from hil.errors import UsageError
from hil.results import table
from hil.results.rows import Metric, in_context
from hil.studies.counts import kept
from hil.studies.counts.counted import Memory

TINY = """
model = "rnnpool_layer"
tags = ["tiny_things"]
[variant]
rows = 24
columns = 24
channels = 4
patch = 6
stride = 4
hidden_row = 4
hidden_summary = 4
[limits]
latency_s = 0.5
[limits.on.nucleo_l4r5zi]
latency_s = 0.7
"""


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert cli.main(["scenarios", *arguments, "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_scenarios_are_listed_with_limits_tags_and_last_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = in_context(CONTEXT, [Metric("cycles", 1, "cycle")])
    table.write(rows, tmp_path / "build/hil/history/20260101T000000-aa.csv")
    found = {str(one["name"]): one for one in listed(capsys)}
    assert set(found) == set(scenario.names())
    face = found["face_m4"]
    assert face["limits"] == {
        name: value
        for name, value in vars(scenario.load("face_m4").limits).items()
        if value is not None
    }
    assert (face["tags"], face["fit"]) == (["face", "rnnpool"], None)
    ran = found[CONTEXT.scenario]
    assert ran["last"] == f"pass, {CONTEXT.when.partition('T')[0]}"


def test_a_board_says_which_fit_and_its_own_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "huge.toml").write_text(TINY.replace("hidden_row = 4", "hidden_row = 512"))
    names = [str(tmp_path / name) for name in ("tiny.toml", "huge.toml")]
    tiny, huge = listed(capsys, *names, "--board=nucleo_l4r5zi")
    assert tiny["limits"] == {"latency_s": 0.7}
    assert isinstance(tiny["fit"], dict)
    assert isinstance(huge["fit"], dict)
    assert (tiny["fit"]["fits"], huge["fit"]["fits"]) == (True, False)
    assert huge["fit"]["obstacle"]


def test_what_was_planned_once_is_kept_and_a_change_makes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(TINY)
    chip, tiny = board.load("stm32f439"), scenario.load(str(tmp_path / "tiny.toml"))
    first = kept.fit(tiny, chip)
    again = "hil.studies.counts.count.planned"
    monkeypatch.setattr(again, lambda *_: pytest.fail("it was planned again"))
    assert kept.fit(tiny, chip) == first
    with pytest.raises(pytest.fail.Exception):
        kept.fit(tiny.override(optimise="ram"), chip)


def test_without_torch_what_was_planned_is_known_and_of_the_rest_the_remedy_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    names = [tmp_path / "planned.toml", tmp_path / "new.toml", tmp_path / "newer.toml"]
    for number, path in enumerate(names):
        path.write_text(f"{TINY}\n".replace("channels = 4", f"channels = {4 + 4 * number}"))
    assert kept.fit(scenario.load(str(names[0])), board.load("stm32f439")).sram_bytes

    def lacking(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("hil.run.network.structure", lacking)
    monkeypatch.setattr("hil.extras.is_there", lambda package: package != "torch")
    arguments = [*map(str, names), "--board=stm32f439"]
    planned, new, _ = listed(capsys, *arguments)
    assert isinstance(planned["fit"], dict)
    assert isinstance(new["fit"], dict)
    assert (planned["fit"]["fits"], new["fit"]["fits"]) == (True, None)
    assert (new["tags"], new["limits"]) == (["tiny_things"], {"latency_s": 0.5})
    assert cli.main(["scenarios", *arguments]) == 0
    out = capsys.readouterr().out
    words = [line.split()[:2] for line in out.splitlines()]
    assert [one for one in words if one[1:] == ["?"]] == [["new", "?"], ["newer", "?"]]
    assert out.count("which is not installed:") == 1
    assert "pip install 'rnnpool-hil[torch]'" in " ".join(out.split())


def test_what_is_for_another_board_is_listed_for_that_one_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.studies.scenarios._fit", lambda *_: None)  # planning takes minutes
    on = {
        name: {str(one["name"]) for one in listed(capsys, f"--board={name}")}
        for name in ("stm32f429i_disc1", "stm32f439")
    }
    assert on["stm32f429i_disc1"] - on["stm32f439"] == {"face_c"}
    assert on["stm32f429i_disc1"] == {str(one["name"]) for one in listed(capsys)}


def test_the_table_fits_80_columns_with_all_it_can_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        kept, "fit", lambda *_: Memory(obstacle="it lacks 1,234,567 B of flash " * 3)
    )
    of = [replace(CONTEXT, scenario=name, board="stm32f439") for name in scenario.names()]
    rows = [row for one in of for row in in_context(one, [Metric("cycles", 1, "cycle")])]
    table.write(rows, tmp_path / "build/hil/history/20260101T000000-aa.csv")
    assert cli.main(["scenarios", "--board=stm32f439"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert "pass, 2026-" in "".join(lines)
    assert any(line.startswith("tag face: face_a, face_m4") for line in lines)


def test_tags_choose_scenarios(pytester: pytest.Pytester) -> None:
    assert {"face_m4", "face_a"} <= {*scenario.tagged(["face"])}
    assert "vww_base" not in scenario.tagged(["face", "classifier"])
    with pytest.raises(UsageError, match=r"unknown tag 'faces'\n  known: classifier, face"):
        scenario.tagged(["faces"])
    pytester.makepyfile("def test_one(hil_scenario): pass")
    result = pytester.runpytest("--hil-tag=face", "-m", "not rnnpool", "--strict-markers")
    faces = scenario.tagged(["face"], board="stm32f439")
    result.assert_outcomes(deselected=len(faces))
    result = pytester.runpytest("--hil-tag=classifier", "-m", "classifier", "--strict-markers")
    result.assert_outcomes(passed=len(scenario.tagged(["classifier"])))


def test_two_files_of_one_stem_are_listed_under_the_names_of_their_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / folder / "tiny.toml" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text(TINY, encoding="utf-8")
    assert [one["name"] for one in listed(capsys, *map(str, files))] == ["tiny", "two.tiny"]


def test_a_tag_chooses_among_the_scenarios_that_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pytester: pytest.Pytester
) -> None:
    tiny, other = tmp_path / "tiny.toml", tmp_path / "other.toml"
    tiny.write_text(TINY, encoding="utf-8")
    other.write_text(TINY.replace("tiny_things", "other_things"), encoding="utf-8")
    files = [str(tiny), str(other)]
    assert [one["name"] for one in listed(capsys, *files, "--tag=tiny_things")] == ["tiny"]
    with pytest.raises(UsageError, match=r"unknown tag 'face'\n  known: other_things, tiny_things"):
        scenario.tagged(["face"], among=files)
    pytester.makepyfile("def test_one(hil_scenario): assert hil_scenario.name == 'tiny'")
    named = [f"--hil-scenario={one}" for one in files]
    pytester.runpytest(*named, "--hil-tag=tiny_things").assert_outcomes(passed=1)
