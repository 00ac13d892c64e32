"""Hold a tag against the changelog and the citation: `python ci/check_tag.py v0.1.0`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "ci"))

from version import released  # noqa: E402  # a file of this folder


def problems(tag: str) -> list[str]:
    """Say what keeps a tag from being released."""
    now = tag.removeprefix("v")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = []
    if released() != now:
        found.append(f"the tag is {tag}, the version in CITATION.cff {released()}")
    if f"\n## {now}\n" not in changes:
        found.append(f"CHANGELOG.md has no heading ## {now}")
    return found


if __name__ == "__main__":
    told = problems(sys.argv[1])
    print("\n".join(told))
    sys.exit(bool(told))
