"""The worked examples of docs/extending.md, done as they stand there."""

import inspect
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from test_fixtures import FILES
from test_fixtures import PAGE as FIXTURES
from test_judge import measurement

from hil.errors import Verdict
from hil.results import metrics, summary
from hil.results.rows import Metric
from hil.run import figures, judge

PAGE = Path(__file__).parent.parent / "docs/extending.md"


def block(head: str) -> str:
    """The code under the comment that says where it belongs."""
    found = re.search(
        rf"^```\w+\n# {re.escape(head)}\n(.*?)^```$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found, head
    return found[1]


def figures_with(line: str) -> object:
    """The function of figures.py, compiled with a line more at the end of `_size`."""
    source = inspect.getsource(figures)
    size = inspect.getsource(figures._size)
    changed = source.replace(size, size + textwrap.indent(line, "    "))
    assert changed != source
    names: dict[str, object] = {"__name__": "hil.run.figures_with_a_line_more"}
    exec(compile(changed, "figures.py", "exec"), names)  # noqa: S102
    return names["figures"]


def judged_with_the_example(monkeypatch: pytest.MonkeyPatch) -> Metric:
    kind = eval(block("hil/results/metrics.py, in KINDS"), vars(metrics).copy())  # noqa: S307
    monkeypatch.setattr(metrics, "KINDS", (*metrics.KINDS, kind))
    monkeypatch.setattr(judge, "figures", figures_with(block("hil/run/figures.py, in _size")))
    return next(one for one in judge.judge(measurement()) if one.name == "ram.ccm")


def test_a_metric_is_an_entry_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = judged_with_the_example(monkeypatch)
    assert (metric.value, metric.unit, metric.limit) == (30_000, "B", 65_536)
    assert metric.verdict is Verdict.PASS
    assert "ram.ccm" in metrics.judged("modelled", 1)
    assert "| `ram.ccm` | B | `memory` | what of `ram.static` lies in CCM |" in metrics.markdown()


def test_the_summary_shows_a_new_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_results import CONTEXT

    from hil.results.rows import in_context

    text = summary.render(in_context(CONTEXT, [judged_with_the_example(monkeypatch)]))
    assert re.search(r"CCM +30,000 B.*pass", text)


@pytest.mark.slow
def test_a_target_of_another_package_runs_a_scenario(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads(block("pyproject.toml"))["project"]
    site = pytester.mkdir("site")
    (site / "my_jig.py").write_text(block("my_jig.py"))
    information = site / "my_jig-1.0.dist-info"
    information.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (information / "METADATA").write_text(head)
    points = project["entry-points"]["hil.targets"].items()
    lines = [f"{name} = {value}" for name, value in points]
    (information / "entry_points.txt").write_text("\n".join(["[hil.targets]", *lines, ""]))
    monkeypatch.setenv("PYTHONPATH", str(site))

    scenario = dict(FILES.findall(FIXTURES.read_text(encoding="utf-8")))["tiny.toml"]
    (pytester.path / "tiny.toml").write_text(scenario)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.hil_scenario("tiny.toml")
        def test_one(hil_hold, hil_measurement):
            hil_hold("output.mismatches")
            assert hil_measurement.target == "switched"
        """
    )
    result = pytester.runpytest_subprocess("--hil-target=switched", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*power off", "power on", "tiny on stm32f439 (switched, *"])
