"""Objects of the firmware's own C files, kept by content: most images compile their model only.

Kernels and runtime are the same in every image that a compiler makes, the chip's files in every
image of a board. An object is named by what it is made of: its source, each header that it may
include, compiler, flags, `firmware/CMakeLists.txt`, and the board's values where it includes these.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from hil.build.once import content, digest, keep
from hil.paths import cache

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
_UNTOLD = re.compile(rb"__has_include|__has_embed|\.incbin")
_BOARD_H, _BOARD_H_IN = "board.h", Path("runtime/board.h.in")


class _UntoldError(Exception):
    """It cannot be told from the sources what an object is made of."""


@dataclass(frozen=True)
class Recipe:
    """What decides the objects of an image, beside each one's sources.

    Attributes:
        firmware: the folder with `CMakeLists.txt`, `kernels` and `runtime`.
        chip_dir: the folder of the chip's C files.
        settings: the board's values, as CMake has them.
        words: the compiler, its flags, and what else it is told of every file.
    """

    firmware: Path
    chip_dir: Path
    settings: Mapping[str, str]
    words: tuple[str, ...]
    _read: dict[Path, tuple[str, set[Path]]] = field(default_factory=dict, init=False, repr=False)

    def take(self, folder: Path) -> None:
        """Write the objects that are kept into a folder, by the names that CMake looks for."""
        for name, source in self._sources():
            with suppress(_UntoldError):
                kept = content(self._path(source))
                if kept is not None:
                    place = folder / f"{name}.o"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(kept)

    def keep(self, build_dir: Path, dependencies: str) -> None:
        """Keep the objects that a build has compiled.

        Args:
            build_dir: where CMake has listed them.
            dependencies: what the compiler read for each, as `ninja -t deps` says it.
        """
        build_dir = build_dir.resolve()
        listed = (build_dir / "objects.txt").read_text(encoding="utf-8").splitlines()
        lines = (line.split("\t") for line in listed)
        made = {name: _within(build_dir, path) for name, path in lines}
        read = dict(_dependencies(dependencies, build_dir))
        for name, source in self._sources():
            with suppress(_UntoldError):
                if name in made and self._covers(source, read.get(made[name]), build_dir):
                    keep(self._path(source), made[name].read_bytes())

    def _sources(self) -> Iterator[tuple[str, Path]]:
        """Yield the C files beside the model's, each with its name in `CMakeLists.txt`."""
        folders = {room: self.firmware / room for room in ("kernels", "runtime")}
        for room, folder in ({"chip": self.chip_dir} | folders).items():
            for source in sorted(folder.glob("*.c")):
                yield f"{room}/{source.name}", source

    def _path(self, source: Path) -> Path:
        """Return where a source's object is kept."""
        files = self._closure(source)
        words = [*self.words, self._place(source)]
        if self.firmware / _BOARD_H_IN in files:
            words.append(str(sorted(self.settings.items())))
        words += sorted(f"{self._place(file)} {self._include(file)[0]}" for file in files)
        return cache() / "objects" / f"{digest(words, ())}.o"

    def _place(self, file: Path) -> str:
        """Return a file's path as its object has it, wherever the folders stand."""
        chip = f"chips/{self.settings['HIL_CHIP']}/"
        for folder, name in ((self.chip_dir, chip), (self.firmware, "")):
            if file.is_relative_to(folder):
                return name + file.relative_to(folder).as_posix()
        raise _UntoldError(file)

    def _closure(self, source: Path) -> set[Path]:
        """Return a source and all files of ours that it may include, whatever is defined."""
        files: set[Path] = set()
        left = {source}
        while left:
            file = left.pop()
            files.add(file)
            left |= self._include(file)[1] - files
        return files

    def _include(self, file: Path) -> tuple[str, set[Path]]:
        """Return the digest of a file, and what it includes of ours itself."""
        if file not in self._read:
            text = file.read_bytes()
            if _UNTOLD.search(text):
                raise _UntoldError(file)
            found = (self._found(file, *names) for names in _INCLUDE.findall(text))
            self._read[file] = sha256(text).hexdigest(), {one for one in found if one is not None}
        return self._read[file]

    def _found(self, file: Path, quoted: bytes, angled: bytes) -> Path | None:
        """Return the file of ours that an include names; None where the compiler has its own."""
        name = (quoted or angled).decode()
        beside = [file.parent / name] if quoted else []
        for path in (*beside, self.firmware / name):
            if path.is_file():
                return path.resolve()
        return self.firmware / _BOARD_H_IN if name == _BOARD_H else None

    def _covers(self, source: Path, read: set[Path] | None, build_dir: Path) -> bool:
        """Whether an object's name holds all files of ours that the compiler read for it."""
        if read is None:
            return False
        board = {build_dir / _BOARD_H: self.firmware / _BOARD_H_IN}
        ours = {board.get(file, file) for file in read}
        roots = (self.firmware, self.chip_dir, build_dir)
        ours = {file for file in ours if any(map(file.is_relative_to, roots))}
        return ours <= self._closure(source)


def _dependencies(said: str, build_dir: Path) -> Iterator[tuple[Path, set[Path]]]:
    """Yield each object and the files that it was made of, of what `ninja -t deps` says."""
    for block in said.split("\n\n"):
        made, *read = block.strip().splitlines() or [""]
        if made.endswith("(VALID)"):
            object_ = made.rpartition(": #deps ")[0]
            yield _within(build_dir, object_), {_within(build_dir, one.strip()) for one in read}


def _within(folder: Path, said: str) -> Path:
    """Return a path that a tool has said, running in a folder."""
    return Path(os.path.normpath(os.path.join(folder, said)))  # noqa: PTH118 - `said` may be absolute
