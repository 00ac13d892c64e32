"""What the package says of itself: at an index, in a citation, at a release."""

import os
import re
import subprocess
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

import hil

ROOT = Path(__file__).parent.parent


def _module(name: str) -> Any:
    spec = spec_from_file_location(name, ROOT / "ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_tag, version = _module("check_tag"), _module("version")


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
    for words in ("face_m4", "latency", "RAM", "wrong", "outputs", "pass"):
        assert words in sample


def test_an_index_links_to_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(project["urls"])
    assert (ROOT / project["urls"]["Changelog"].rpartition("/")[2]).is_file()


def test_a_tag_agrees_with_changelog_and_citation() -> None:
    assert not check_tag.problems(f"v{version.released()}")
    assert "the tag is v9.9" in check_tag.problems("v9.9")[0]


def test_the_version_is_that_of_the_tag_and_of_an_archive_without_git(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        command = ["git", *who, *words]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)

    (tmp_path / "CITATION.cff").write_text("version: 0.3.0\n")
    assert version.version(tmp_path) == "0.3.0"
    git("init", "--quiet")
    git("commit", "--allow-empty", "--quiet", "-m", "one")
    assert version.version(tmp_path) == "0.3.0"  # no tag yet, as in a shallow clone
    git("tag", "v0.4.1")
    assert version.version(tmp_path) == "0.4.1"
    git("commit", "--allow-empty", "--quiet", "-m", "two")
    assert version.version(tmp_path) == "0.4.2.dev1"
    archive = tmp_path / "archive"  # unpacked within that repository, whose tags are not its own
    archive.mkdir()
    (archive / "CITATION.cff").write_text("version: 0.3.0\n")
    (archive / "PKG-INFO").write_text("Metadata-Version: 2.4\nVersion: 0.2.9\n")
    assert version.version(archive) == "0.2.9"


def test_the_package_is_built_with_that_version() -> None:
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    assert ProjectMetadata(str(ROOT), PluginManager()).version == version.version()
    assert hil.__version__


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

    chosen = planned("PYTHON=/opt/python-of-another")
    assert "/opt/python-of-another -m venv .venv-python-of-another\n" in chosen
    assert ".venv-python-of-another/bin/pytest hil/ --board=stm32f439" in chosen
    assert ".venv/bin/pytest hil/ --board=stm32f439" in planned()


def test_a_run_installs_no_tools_of_the_tests() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    suite = {re.split(r"[>=]", one)[0] for one in extras["suite"]}
    assert suite == {"rnnpool-hil[torch,emulator]", "pytest-timeout", "pytest-xdist"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nhil: $(RUNS)" in makefile
    assert "--editable\n" in makefile
    assert "$(INSTALL) '.[suite]'" in makefile
