"""Where an image runs, by the name that `--hil-target` takes.

A package of your own adds a target by an entry point of the group `hil.targets`, named as the
target is: `my-jig = "my_package.jig:JigTarget"`. Nothing of it is imported until it is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hil.targets.base import Target

GROUP = "hil.targets"
AUTO, NAMED = "auto", "named"
"""Take the place of a target's name for what `hil.targets.choice` chooses by itself."""

_OURS = {
    "emulator": "hil.targets.emulator.target:EmulatedTarget",
    "probe": "hil.targets.probe:ProbeTarget",
    "renode": "hil.targets.renode.target:RenodeTarget",
}


def names() -> list[str]:
    """Return the targets that can be asked for."""
    return sorted({*_OURS, *(entry.name for entry in _entries())})


def find(name: str) -> "type[Target]":
    """Return a target's class.

    Raises:
        UsageError: there is none of that name (the error lists those there are), there are several,
            or what the name stands for cannot be imported or is no target.
    """
    offered = {entry.value: entry for entry in _entries() if entry.name == name}
    if name in _OURS:
        offered.setdefault(_OURS[name], _entry(name, _OURS[name]))
    if not offered:
        raise UsageError.unknown("target", name, names())
    if len(offered) > 1:
        raise UsageError(
            f"several packages offer a target {name!r}: {', '.join(sorted(offered))}",
            hint="uninstall all but one of them",
        )
    (entry,) = offered.values()
    return _load(entry)


class Names:
    """The targets' names as argparse's `choices`: looked up when a help or a value needs them.

    Args:
        more: names that are taken beside them.
    """

    def __init__(self, *more: str) -> None:
        self._more = more

    def __iter__(self) -> Iterator[str]:
        return iter([*self._more, *names()])

    def __contains__(self, name: object) -> bool:
        return name in self._more or name in names()


def _entries() -> "list[EntryPoint]":
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


def _entry(name: str, value: str) -> "EntryPoint":
    from importlib.metadata import EntryPoint

    return EntryPoint(name, value, GROUP)


def _load(entry: "EntryPoint") -> "type[Target]":
    from hil.targets.base import Target

    try:
        found = entry.load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise UsageError(
            f"the target {entry.name!r} cannot be imported from {entry.value}: "
            f"{type(error).__name__}: {error}",
            hint="is everything that it needs installed?",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Target)):
        raise UsageError(
            f"the target {entry.name!r} is no target: {entry.value} is not a class derived from "
            "hil.targets.base.Target"
        )
    if getattr(found, "name", None) != entry.name:
        raise UsageError(
            f"the target {entry.name!r} calls itself {getattr(found, 'name', None)!r}",
            hint=f"its class attribute `name` and its entry point must agree: {entry.value}",
        )
    return found
