"""Networks of others: functions that make them, in modules, files or behind entry points."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args, get_origin

from hil import files
from hil.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

GROUP = "hil.models"
_OURS = (str(Path(__file__).parents[1]), "<frozen importlib")
_EXAMPLE = 'write model = "my_package.nets:make" or model = "nets.py:make"'

Maker: TypeAlias = Callable[..., "nn.Module"]


def is_own(model_id: str) -> bool:
    """Whether a model's id names a function rather than a network of ours."""
    return ":" in model_id


def is_file(model_id: str) -> bool:
    """Whether a model's id names a file of a quantised network."""
    return model_id.endswith(".tflite")


def names() -> list[str]:
    """Networks that installed packages offer."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def offered(model_id: str) -> EntryPoint | None:
    """Return the entry point of a network that an installed package offers, None without one."""
    return next((p for p in entry_points(group=GROUP) if p.name == model_id), None)


def make(where: str, directory: Path, variant: Mapping[str, Any], seed: int) -> "nn.Module":
    """Call the function that makes a network.

    Args:
        where: "module:function" or "path.py:function".
        directory: where a path starts, and where modules are looked for beside the usual places.
        variant: the function's arguments.
        seed: of the random numbers that it draws from torch.

    Raises:
        UsageError: there is no such module or function, one of them fails (the error says where),
            the arguments are not the function's, or it makes no torch.nn.Module.
    """
    import torch

    place, _, function_name = where.rpartition(":")
    if not place or not function_name.isidentifier():
        raise UsageError(f"the model {where!r} names no function", hint=_EXAMPLE)
    with _importable(directory), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _module(where, place, directory)
        function = getattr(module, function_name, None)
        if not callable(function):
            raise UsageError(
                f"the model {where!r}: {place} has no function {function_name}", hint=_EXAMPLE
            )
        check_arguments(where, function, variant)
        made = called(where, function, variant)
    if not isinstance(made, torch.nn.Module):
        raise UsageError(
            f"the model {where!r}: {function_name} returns {type(made).__name__}, "
            "no torch.nn.Module"
        )
    return made


def check_arguments(model_id: str, function: Maker, variant: Mapping[str, Any]) -> None:
    """Hold a variant against what a function takes by name. Raises UsageError.

    Args:
        model_id: names the network in errors.
        function: makes it.
        variant: arguments by name.
    """
    parameters = signature(function).parameters
    takes_any = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    by_name = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    known = {name: one.annotation for name, one in parameters.items() if one.kind in by_name}
    for name, value in variant.items():
        if name not in known and not takes_any:
            raise UsageError.unknown(f"variant of {model_id}", name, list(known))
        expected = _expected(value, known.get(name))
        if expected:
            raise UsageError(
                f"variant of {model_id}: {name} = {value!r}: expected {expected}",
                hint=f"known: {', '.join(known)}",
            )


def _expected(value: object, annotation: object) -> str:
    """Say what a parameter takes where a value is none of it; nothing where that is unclear."""
    if get_origin(annotation) is Literal:
        words = get_args(annotation)
        return "" if value in words else " or ".join(repr(word) for word in words)
    if annotation is float:
        fits = isinstance(value, float | int) and not isinstance(value, bool)
    elif annotation is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = annotation not in {bool, str} or isinstance(value, cast("type", annotation))
    return "" if fits else cast("type", annotation).__name__


def called(model_id: str, function: Maker, variant: Mapping[str, Any]) -> "nn.Module":
    """Call a function; whatever it raises becomes a UsageError that says where.

    Args:
        model_id: names the network in errors.
        function: makes it.
        variant: arguments by name.
    """
    try:
        return function(**variant)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(f"the model {model_id!r} cannot be made", error) from error


def check_output(model_id: str, module: "nn.Module", shape: tuple[int, int, int]) -> None:
    """Run a network once, on black.

    Args:
        model_id: names it in errors.
        module: in evaluation mode.
        shape: rows, columns, channels of its input.

    Raises:
        UsageError: it does not take such an input, or does not make vectors and maps of it.
    """
    import torch

    from hil.models.threads import one_thread

    rows, columns, channels = shape
    with one_thread(), torch.inference_mode():
        try:
            outputs = module(torch.zeros(1, channels, rows, columns))
        except Exception as error:
            what = f"the model {model_id!r} does not take {rows}x{columns}x{channels}"
            raise _failure(what, error) from error
    parts = outputs if isinstance(outputs, list | tuple) else [outputs]
    found = [tuple(p.shape) if isinstance(p, torch.Tensor) else type(p).__name__ for p in parts]
    if not parts or not all(_is_result(one) for one in found):
        told = ", ".join(map(str, found)) or "nothing"
        raise UsageError(
            f"the model {model_id!r} returns {told}; expected vectors of (1, outputs) or maps of "
            "(1, channels, rows, columns)",
            hint="return one of them, or a tuple of several",
        )


def _is_result(shape: tuple[int, ...] | str) -> bool:
    return isinstance(shape, tuple) and len(shape) in {2, 4} and shape[0] == 1 and 0 not in shape


def plain_name(model_id: str) -> str:
    """Return a name of a network that C and file names can carry: `nets.make` of `nets.py:make`."""
    place, _, function = model_id.rpartition(":")
    name = f"{Path(place).name.removesuffix('.py')}.{function}" if place else Path(model_id).stem
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in name)[:31]


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """Find modules in a directory, and in the working directory, while the block runs."""
    added = [str(directory.resolve()), str(Path.cwd())]
    sys.path[:0] = added
    try:
        yield
    finally:
        for entry in added:
            with suppress(ValueError):  # the user's code may have taken it out
                sys.path.remove(entry)


def _module(where: str, place: str, directory: Path) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _from_file(where, (directory / Path(place).expanduser()).resolve())
        _check_not_another(where, place, directory)
        return importlib.import_module(place)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and place.startswith(str(error.name)):
            raise UsageError(f"the model {where!r}: {error}", hint=_EXAMPLE) from error
        raise _failure(f"the model {where!r}: {place} cannot be imported", error) from error


def _check_not_another(where: str, place: str, directory: Path) -> None:
    """Refuse a module whose name another one, already loaded, has. Raises UsageError."""
    top = place.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    beside = PathFinder.find_spec(top, [str(directory.resolve())])
    if loaded and beside and beside.origin and Path(beside.origin) != Path(loaded):
        raise UsageError(
            f"the model {where!r}: {loaded} is loaded, so that {beside.origin} cannot be",
            hint=f"name the file: {top}.py:function",
        )


def _from_file(where: str, path: Path) -> ModuleType:
    if not files.is_file(path):
        raise UsageError(f"the model {where!r}: there is no file {path}", hint=_EXAMPLE)
    digest = hashlib.sha256(f"{path}".encode() + path.read_bytes()).hexdigest()[:12]
    name = f"hil_own_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"the model {where!r}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _failure(what: str, error: BaseException) -> UsageError:
    """Tell an error of the user's code by its last line and the place where it arose."""
    said = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        at = f"{error.filename}:{error.lineno}"
    else:
        of_others = [one for one in frames if not one.filename.startswith(_OURS)]
        shown = [one for one in of_others if "site-packages" not in one.filename] or frames
        at = f"{shown[-1].filename}:{shown[-1].lineno}" if shown else ""
    return UsageError(f"{what}: {said}", hint=f"at {at}" if at else "")
