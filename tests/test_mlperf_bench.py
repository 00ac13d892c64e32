"""MLPerf Tiny's networks beside the certified figures."""

import csv
from pathlib import Path

import pytest

from hil.cli import main
from hil.config import scenario
from hil.studies.mlperf import bench
from hil.studies.mlperf.bench import Result

_HZ = 120_000_000
RESULTS = [
    Result("vww", "mlperf_vww", "nucleo_l4r5zi", _HZ, "modelled-m4-3", 12_000_000, 1, 2),
    Result("ad", "mlperf_ad", "nucleo_l4r5zi", _HZ, "modelled-m4-3", 972_448, 3, 4),
]


def test_certified_cycles_are_those_of_the_certified_rate_at_120_mhz() -> None:
    found = bench.certified()
    assert set(found) == set(bench.TASKS)
    for one in found.values():
        assert one.cycles == pytest.approx(_HZ / one.inferences_per_second, rel=2e-4)
        assert one.source.startswith("tiny_results_v1.")


def test_every_task_has_a_scenario_that_runs_only_when_it_is_named() -> None:
    for task in bench.TASKS:
        found = scenario.load(bench.scenarios(task))
        assert (found.default, found.tags) == (False, ["mlperf"])


def test_a_table_says_both_pedigrees_and_the_ratio() -> None:
    text = bench.markdown(RESULTS)
    vww, ad = text.splitlines()[2:4]
    assert "| 10.000 |" in vww
    assert "| 1.12 |" in vww
    assert "| 2.00 |" in ad
    assert "emulated, cycles modelled-m4-3" in text
    assert "certified: silicon" in text


def test_a_csv_names_the_sources(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    bench.write_csv(RESULTS, path)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["task"] for row in rows] == ["vww", "ad"]
    assert rows[1]["source"] == bench.certified()["ad"].source


def test_a_network_of_no_task_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for told in ("speech=net.toml", "vww"):
        assert main(["bench", "mlperf", "--network", told]) == 2
        assert "names no task and file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_s_outputs_are_held_to_the_reference_before_its_cycles_count() -> None:
    told: list[str] = []
    (result,) = bench.run({"kws": "mlperf_kws"}, bench.BOARD, told.append)
    assert told == ["[1/1] mlperf_kws on nucleo_l4r5zi"]
    assert 3_000_000 < result.cycles < 5_182_388
    assert result.clock_hz == _HZ
    assert result.rules.startswith("modelled-")
