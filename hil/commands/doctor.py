"""`hil doctor`: what this machine has and lacks."""

import argparse

from hil.commands.options import Commands, command

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
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'ok' if finding.found else '--'}  {finding.name:{width}}  {finding.detail}")
        if finding.remedy:
            print(f"    {'':{width}}  to have it: {finding.remedy}")
    return 0 if all(finding.found or finding.optional for finding in findings) else 1
