"""Hold a tag against the version and the changelog: `python ci/check_tag.py v0.1.0`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def version() -> str:
    """Return the version that the package says of itself."""
    text = (ROOT / "hil" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("hil/__init__.py states no version")
    return found[1]


def problems(tag: str) -> list[str]:
    """Say what keeps a tag from being released."""
    now = version()
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    found = []
    if tag != f"v{now}":
        found.append(f"the tag is {tag}, the version in hil/__init__.py {now}")
    if f"\n## {now}\n" not in changes:
        found.append(f"CHANGELOG.md has no heading ## {now}")
    if f"\nversion: {now}\n" not in cited:
        found.append(f"CITATION.cff does not say version: {now}")
    return found


if __name__ == "__main__":
    told = problems(sys.argv[1])
    print("\n".join(told))
    sys.exit(bool(told))
