"""Something that this machine was looked at for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes:
        detail: version and place, or why it does not count as found.
        remedy: what to do where it is missing; its lines can be pasted into a shell.
        optional: whether the main job on the emulated board works without it.
    """

    name: str
    found: bool
    detail: str
    remedy: str = ""
    optional: bool = True
