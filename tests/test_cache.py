"""`hil cache`, and where the tests' own builds are kept."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil import cli, paths
from hil.build import kept, toolchain
from hil.build.kept import Kept

ROOT = Path(__file__).parent.parent
DAY_S = 86_400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three builds of 100 B, unused for 1, 5 and 9 days, and a file of the user's."""
    root = tmp_path / "cache"
    for name, days in (("firmware/a.elf", 5), ("native/b.so", 1), ("firmware/left/c.o", 9)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        then = time.time() - days * DAY_S
        os.utime(path, (then, then))
    (root / "thesis.tex").write_text("dear", encoding="utf-8")
    monkeypatch.setenv("HIL_CACHE", str(root))
    return root


def left(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def test_the_cache_is_listed_by_kind(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == str(cache)
    assert " ".join(text.split()).count("2 files 200 B, longest unused: 9.0 days") == 1
    assert "all 3 files 300 B" in " ".join(text.split())
    assert "thesis" not in text


@pytest.mark.parametrize("going", ["firmware/left", "zig/h"])
def test_a_folder_that_goes_while_it_is_listed_costs_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, going: str
) -> None:
    gone, scandir = cache / going, os.scandir
    gone.mkdir(parents=True, exist_ok=True)

    def racing(path: int | str | Path) -> object:
        if str(path) == str(gone):  # another process takes its scratch folder away
            shutil.rmtree(gone, ignore_errors=True)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", racing)
    listed = {one.path.name for one in kept.files(cache)}
    monkeypatch.undo()
    assert not gone.exists()
    assert listed == left(cache) - {"thesis.tex"}


def test_what_zig_keeps_is_one_piece(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, days in (("zig/h/manifest.txt", 20), ("zig/o/1/libc.a", 20), ("zig", 3)):
        path = cache / name
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(100))
        os.utime(path, (time.time() - days * DAY_S,) * 2)
    assert cli.main(["cache"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "zig 1 files 200 B, longest unused: 3.0 days" in listed
    assert cli.main(["cache", "prune", "--older-than=4"]) == 0
    assert left(cache) == {"b.so", "manifest.txt", "libc.a", "thesis.tex"}
    assert cli.main(["cache", "prune", "--older-than=2"]) == 0
    assert left(cache) == {"b.so", "thesis.tex"}
    assert not (cache / "zig").exists()


def test_a_compiler_writes_below_the_cache_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, source = tmp_path / "home", tmp_path / "source"
    home.mkdir()
    source.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    for name in ("XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (source / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    zig = toolchain.find_toolchain("zig")
    command = [str(zig.program), "cc", *zig.flags, "-c", "main.c", "-o", "main.o"]
    subprocess.run(command, cwd=source, env=toolchain.environment(), timeout=60, check=True)
    assert list(home.rglob("*")) == []
    assert {path.name for path in source.iterdir()} == {"main.c", "main.o"}
    assert [one.kind for one in kept.files(tmp_path / "cache")] == ["zig"]


@pytest.mark.parametrize(
    ("options", "stay"),
    [
        (["--older-than=4"], {"b.so"}),
        (["--older-than=6.5"], {"a.elf", "b.so"}),
        (["--max-size=250"], {"a.elf", "b.so"}),
        (["--max-size=1K"], {"a.elf", "b.so", "c.o"}),
        (["--max-size=100", "--older-than=0"], set()),
    ],
)
def test_what_is_longest_unused_goes_first(cache: Path, options: list[str], stay: set[str]) -> None:
    assert cli.main(["cache", "prune", *options]) == 0
    assert left(cache) == stay | {"thesis.tex"}


def test_clearing_leaves_what_no_build_made(cache: Path) -> None:
    assert cli.main(["cache", "clear"]) == 0
    assert left(cache) == {"thesis.tex"}
    assert not (cache / "firmware" / "left").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["prune"], "nothing says what may go"), (["list", "--max-size=1"], "belong to prune")],
)
def test_options_that_say_nothing_are_refused(
    cache: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["cache", *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert len(left(cache)) == 4


@pytest.mark.parametrize("option", ["--max-size=-1", "--max-size=ten", "--older-than=nan"])
def test_a_size_or_age_that_is_none_is_refused(cache: Path, option: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["cache", "prune", option])
    assert len(left(cache)) == 4


def test_an_empty_cache_is_nothing_special(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "none"))
    for action in ("list", "clear"):
        assert cli.main(["cache", action]) == 0
    assert "0 files" in capsys.readouterr().out


def test_a_use_makes_a_file_young(cache: Path) -> None:
    kept.note_use(cache / "firmware" / "left" / "c.o")
    kept.note_use(cache / "absent")
    assert kept.files(cache)[-1].path.name == "c.o"


def test_pruning_by_size_counts_what_age_has_taken() -> None:
    found = [Kept(Path(str(at)), "firmware", 10, at * DAY_S) for at in range(4)]
    chosen = kept.to_prune(found, 4 * DAY_S, older_than_days=3.5, max_bytes=30)
    assert chosen == found[:1]


def test_every_folder_that_builds_make_is_one_that_can_be_pruned() -> None:
    made = re.compile(r'cache(?:_directory)?\(\) / "([\w-]+)"')
    sources = [*ROOT.glob("hil/**/*.py"), *ROOT.glob("tests/*.py")]
    kinds = {kind for path in sources for kind in made.findall(path.read_text(encoding="utf-8"))}
    assert {"firmware", "native"} <= kinds
    assert kinds <= set(kept.KINDS)


def test_the_tests_keep_their_builds_in_the_checkout(pytester: pytest.Pytester) -> None:
    ours = ROOT / "build" / "test-cache"
    assert paths.cache() == ours
    script = "from hil import paths; print(paths.cache())"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str(ours)
    pytester.makepyfile(
        f"def test_where():\n import os; assert os.environ['HIL_CACHE'] == '{ours}'"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_folder_of_a_build_that_is_under_way_stays(tmp_path: Path) -> None:
    kind = next(iter(kept.KINDS))
    under_way = tmp_path / kind / "tmp-of-a-build"
    under_way.mkdir(parents=True)
    kept.delete(tmp_path, [])
    assert under_way.is_dir()
