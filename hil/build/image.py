"""A built firmware image: what its ELF file holds, section by section and by load address."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import BuildError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import Section as ElfSection

_BUILD_ID = ".note.gnu.build-id"
_WEIGHTS = ".weights"
_ARENA = ".arena"
_STACK = ".stack"
_CCM = ".ccm"
_LARGEST_FILE_BYTES = 64 << 20
_AGAIN = "build it again"
_SHF_ALLOC = 2
_SHF_COMPRESSED = 0x800
_NT_GNU_BUILD_ID = 3
_SHA1_BYTES = 20


@dataclass(frozen=True)
class Section:
    """A section that takes up memory on the chip.

    Attributes:
        address: where the program finds it. load_address: where it is programmed.
        stored: whether it occupies flash; a section that is zeroed or left alone does not.
    """

    name: str
    address: int
    load_address: int
    bytes: int
    stored: bool

    @property
    def in_ram(self) -> bool:
        """Whether it occupies RAM while the program runs, copied out of flash or not."""
        return not self.stored or self.address != self.load_address


@dataclass(frozen=True)
class Segment:
    """A run of bytes to program, at its load address."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        """First address past the segment."""
        return self.address + len(self.data)


@dataclass(frozen=True)
class Footprint:
    """Bytes of an image by what they are for.

    Attributes:
        flash_code_bytes: all that is programmed but the weights.
        flash_weights_bytes: the model's constants, tables included.
        arena_bytes: the planned activation memory.
        static_bytes: all else in RAM but the stack, CCM included.
        ccm_static_bytes: that part of static_bytes which lies in CCM.
        stack_reserved_bytes: room set aside for the stack; what it uses is measured on the board.
    """

    flash_code_bytes: int
    flash_weights_bytes: int
    arena_bytes: int
    static_bytes: int
    ccm_static_bytes: int
    stack_reserved_bytes: int

    @property
    def flash_total_bytes(self) -> int:
        """All that is programmed."""
        return self.flash_code_bytes + self.flash_weights_bytes


@dataclass(frozen=True)
class Image:
    """A firmware image and the facts about it.

    Attributes:
        build_id: the linker's SHA-1 over the image, 20 bytes; the firmware says it in its hello.
        segments: what to program, by rising address, none touching another.
    """

    elf: Path
    build_id: bytes
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    footprint: Footprint

    @classmethod
    def read(cls, elf: Path) -> "Image":
        """Read an image that `hil.build.firmware.build` made.

        Raises:
            BuildError: the file cannot be read, is no ELF for Arm, contradicts itself, or carries
                no build id.
        """
        contents = _Contents.read(elf)
        return cls(
            elf=elf,
            build_id=contents.build_id(elf),
            sections=contents.sections,
            segments=contents.segments(elf),
            footprint=footprint(contents.sections),
        )


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what pyelftools raises on a damaged file into a BuildError that names the file."""
    from elftools.common.exceptions import DWARFError, ELFError
    from elftools.construct import ConstructError

    damaged = (ELFError, DWARFError, ConstructError, ValueError, LookupError, AttributeError)
    try:
        yield
    except OSError as error:
        hint = "name a file that is there" if isinstance(error, FileNotFoundError) else _AGAIN
        raise _unreadable(path, error.strerror or str(error), hint) from error
    except (*damaged, ArithmeticError, AssertionError, TypeError, RecursionError) as error:
        raise _unreadable(path, f"it is damaged ({error})") from error


def content_digest(path: Path) -> str:
    """Return what tells a file from another one that stood at its path before.

    Raises:
        BuildError: it cannot be read.
    """
    with refusals(path), path.open("rb") as stream:
        return sha256(stream.read(_LARGEST_FILE_BYTES + 1)).hexdigest()


def read_segments(elf: Path) -> tuple[Segment, ...]:
    """Return what any bare-metal Arm ELF programs, by rising load address.

    Raises:
        BuildError: the file cannot be read, is no ELF for Arm, or contradicts itself.
    """
    return _Contents.read(elf).segments(elf)


@dataclass(frozen=True)
class _Contents:
    """The allocated sections of an ELF file by load address, and the bytes of those stored."""

    sections: tuple[Section, ...]
    data: tuple[bytes, ...]

    @classmethod
    def read(cls, path: Path) -> "_Contents":
        from elftools.elf.elffile import ELFFile

        with refusals(path), path.open("rb") as stream:
            size = path.stat().st_size
            if size > _LARGEST_FILE_BYTES:
                raise _unreadable(path, f"it has {size:,} B, more than {_LARGEST_FILE_BYTES:,}")
            return cls._parse(path, ELFFile(stream), size)

    @classmethod
    def _parse(cls, path: Path, elf: "ELFFile", file_bytes: int) -> "_Contents":
        if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32 or not elf.little_endian:
            raise _unreadable(path, "it is not for a 32-bit little-endian Arm")
        found: list[tuple[Section, bytes]] = []
        for entry in elf.iter_sections():
            if not entry["sh_flags"] & _SHF_ALLOC or entry["sh_size"] == 0:
                continue
            if entry["sh_flags"] & _SHF_COMPRESSED:  # which ELF forbids for what is loaded
                raise _unreadable(path, f"its section {entry.name} is compressed")
            section = _section(elf, entry)
            last_file = entry["sh_offset"] + section.bytes if section.stored else 0
            if last_file > file_bytes or section.load_address + section.bytes > 1 << 32:
                raise _unreadable(path, f"its section {section.name} reaches past the end")
            found.append((section, entry.data() if section.stored else b""))
        if not found:
            found = list(_loaded(path, elf, file_bytes))
        found.sort(key=lambda pair: (pair[0].load_address, pair[0].address))
        return cls(tuple(section for section, _ in found), tuple(data for _, data in found))

    def segments(self, path: Path) -> tuple[Segment, ...]:
        """Join the stored sections that touch.

        Sections speak rather than program headers, which may cover the ELF file's own headers.
        """
        joined: list[Segment] = []
        for section, data in zip(self.sections, self.data, strict=True):
            if not section.stored:
                continue
            if joined and section.load_address < joined[-1].end:
                raise _unreadable(path, f"its section {section.name} lies over another")
            if joined and section.load_address == joined[-1].end:
                joined[-1] = Segment(joined[-1].address, joined[-1].data + data)
            else:
                joined.append(Segment(section.load_address, data))
        return tuple(joined)

    def build_id(self, path: Path) -> bytes:
        """Return the descriptor of the linker's note."""
        for section, data in zip(self.sections, self.data, strict=True):
            if section.name == _BUILD_ID and len(data) == 16 + _SHA1_BYTES:
                name_bytes, descriptor_bytes, kind = struct.unpack_from("<III", data)
                if (name_bytes, descriptor_bytes, kind) == (4, _SHA1_BYTES, _NT_GNU_BUILD_ID):
                    return data[16:]
        raise _unreadable(path, "it carries no build id (link with --build-id=sha1)")


def _loaded(path: Path, elf: "ELFFile", file_bytes: int) -> Iterator[tuple[Section, bytes]]:
    """Yield what a file without sections has to be loaded, by its program headers."""
    for number, entry in enumerate(elf.iter_segments()):
        if entry["p_type"] != "PT_LOAD" or entry["p_filesz"] == 0:
            continue
        address, size = entry["p_paddr"], entry["p_filesz"]
        if entry["p_offset"] + size > file_bytes or address + size > 1 << 32:
            raise _unreadable(path, f"its segment {number} reaches past the end")
        name = f"segment {number}"
        yield Section(name, entry["p_vaddr"], address, size, stored=True), entry.data()


def _section(elf: "ELFFile", entry: "ElfSection") -> Section:
    stored = entry["sh_type"] != "SHT_NOBITS"
    load_address = entry["sh_addr"]
    for header in elf.iter_segments("PT_LOAD"):
        inside = entry["sh_offset"] - header["p_offset"]
        if stored and inside >= 0 and inside + entry["sh_size"] <= header["p_filesz"]:
            load_address = header["p_paddr"] + inside
    return Section(
        name=entry.name,
        address=entry["sh_addr"],
        load_address=load_address,
        bytes=entry["sh_size"],
        stored=stored,
    )


def footprint(sections: tuple[Section, ...]) -> Footprint:
    """Return the bytes of an image's sections by what they are for."""
    flash = [section for section in sections if section.stored]
    weights = sum(section.bytes for section in flash if section.name == _WEIGHTS)
    ram = [section for section in sections if section.in_ram]
    static = [section for section in ram if section.name not in {_ARENA, _STACK}]
    return Footprint(
        flash_code_bytes=sum(section.bytes for section in flash) - weights,
        flash_weights_bytes=weights,
        arena_bytes=sum(section.bytes for section in ram if section.name == _ARENA),
        static_bytes=sum(section.bytes for section in static),
        ccm_static_bytes=sum(s.bytes for s in static if s.name.startswith(_CCM)),
        stack_reserved_bytes=sum(section.bytes for section in ram if section.name == _STACK),
    )


def _unreadable(path: Path, why: str, hint: str = _AGAIN) -> BuildError:
    what = f"{path} cannot be read as a firmware image: {why}"
    return BuildError(what, hint=hint, stage="image")
