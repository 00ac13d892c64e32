"""`hil doctor`: what this machine has and lacks."""

import argparse
import textwrap

from hil.commands.options import Commands, command

_COLUMNS = 79
_EXAMPLES = """\
examples:
  hil doctor                           what is found, and what to do about the rest
exit status: 0 where the main job on the emulated board can run
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    command(
        commands,
        "doctor",
        _run,
        "list what is found on this machine and what to do about what is missing",
        epilog=_EXAMPLES,
    )


def _run(options: argparse.Namespace) -> int:
    from hil.studies import doctor

    del options
    findings = doctor.examine()
    for finding in findings:
        mark = "ok" if finding.found else "--"
        print(_filled(f"{mark}  {finding.name}: {finding.detail}"))
        print("".join(f"{line}\n" for line in _remedy(finding.remedy)), end="")
    return 0 if all(finding.found or finding.optional for finding in findings) else 1


def _remedy(remedy: str) -> list[str]:
    """Lay a remedy out; its commands stay whole, so that they can be pasted."""
    if not remedy:
        return []
    head, lines = "    to have it:", remedy.splitlines()
    if len(lines) == 1 and len(f"{head} {remedy}") <= _COLUMNS:
        return [f"{head} {remedy}"]
    return [head, *(f"      {line}" for line in lines)]


def _filled(text: str) -> str:
    return textwrap.fill(text, _COLUMNS, subsequent_indent="    ", break_on_hyphens=False)
