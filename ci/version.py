"""The version: that of the tag which is checked out; behind a tag, of what comes next.

| where | version |
|---|---|
| at the tag v0.2.0 | 0.2.0 |
| three commits behind it | 0.2.1.dev3 |
| an archive of the sources, as `python -m build` makes it | as its PKG-INFO says |
| no tag and no archive: a shallow clone, another's archive | as CITATION.cff says |

`pyproject.toml` has the package built with it. `python ci/version.py` prints it.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
_DEADLINE_S = 30


def version(root: Path = ROOT) -> str:
    """Return the version of a folder of sources."""
    return _of_tag(root) or _of_archive(root) or released(root)


def released(root: Path = ROOT) -> str:
    """Return the version that CITATION.cff says: that of the last release, or of the next."""
    found = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("CITATION.cff says no version")
    return found[1]


def _of_tag(root: Path) -> str | None:
    if not (root / ".git").exists():  # of a repository around an unpacked archive
        return None
    command = ["git", "describe", "--tags", "--long", "--match", "v[0-9]*"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=True, timeout=_DEADLINE_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)-(\d+)-g\w+", answer.stdout.strip())
    if found is None:
        return None
    major, minor, patch, behind = map(int, found.groups())
    return f"{major}.{minor}.{patch + 1}.dev{behind}" if behind else f"{major}.{minor}.{patch}"


def _of_archive(root: Path) -> str | None:
    told = root / "PKG-INFO"
    if not told.is_file():
        return None
    found = re.search(r"^Version: (\S+)$", told.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None


if __name__ == "__main__":
    print(version())
