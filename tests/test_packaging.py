"""What the package says of itself: at an index, in a citation, at a release."""

import os
import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

import hil

ROOT = Path(__file__).parent.parent
_SPEC = spec_from_file_location("check_tag", ROOT / "ci" / "check_tag.py")
assert _SPEC is not None
assert _SPEC.loader is not None
check_tag = module_from_spec(_SPEC)
_SPEC.loader.exec_module(check_tag)


@pytest.fixture(scope="module")
def readme() -> str:
    """What the package's page at an index shows."""
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    metadata = ProjectMetadata(str(ROOT), PluginManager())
    return str(metadata.core.readme)


def test_the_page_at_an_index_has_no_link_into_the_repository(readme: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert len(targets) > 20
    assert not [one for one in targets if not one.startswith(("https://", "#"))]


def test_the_page_at_an_index_shows_a_runs_output_as_text(readme: str) -> None:
    assert "![what make hil prints]" not in readme
    sample = readme.partition("```text\n")[2].partition("```")[0]
    for words in ("face_m4", "latency", "RAM, all-in", "wrong outputs", "pass"):
        assert words in sample


def test_the_version_is_told_once() -> None:
    assert check_tag.version() == hil.__version__
    assert not check_tag.problems(f"v{hil.__version__}")
    assert "the tag is v9.9" in check_tag.problems("v9.9")[0]


def test_the_citation_and_the_release_are_well_formed() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "title", "authors", "version", "license"} <= set(cited)
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for step in workflow["jobs"]["release"]["steps"]]
    assert any("check_tag.py" in step for step in steps)
    assert any("twine check --strict" in step for step in steps)
    for named in re.findall(r"tests/\w+\.py", " ".join(steps)):
        assert (ROOT / named).is_file(), named


def test_the_package_is_typed() -> None:
    assert (ROOT / "hil" / "py.typed").is_file()


def test_a_python_that_is_chosen_has_an_environment_of_its_own() -> None:
    def planned(*arguments: str) -> str:
        command = ["make", "-n", "hil", *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        answer = subprocess.run(
            command, cwd=ROOT, env=kept, capture_output=True, text=True, check=True, timeout=60
        )
        return answer.stdout

    chosen = planned("PYTHON=/opt/python3.13")
    assert "/opt/python3.13 -m venv .venv-python3.13\n" in chosen
    assert ".venv-python3.13/bin/pytest hil/ --board=stm32f439" in chosen
    assert ".venv/bin/pytest hil/ --board=stm32f439" in planned()
