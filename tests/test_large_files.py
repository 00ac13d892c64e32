"""Files that are larger than anything meant for their reader are refused before they are read."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.build import image
from hil.config import board, inventory, scenario
from hil.config import toml as toml_files
from hil.errors import HilError, UsageError
from hil.models.checkpoint import read_state
from hil.results import baseline, table
from hil.vision import datasets, photographs

_MIB = 1 << 20


def sparse(path: Path, size: int) -> Path:
    """A file of so many zero bytes that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def png(path: Path, columns: int, rows: int) -> Path:
    """A PNG of one colour, whose rows are packed by a thousand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    header = columns.to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    pixels = zlib.compress(bytes(min(1 + 3 * columns, _MIB)), 9)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def packed(path: Path, size: int) -> Path:
    """A zip of zeros that unpacks to so many bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("weights/data/0", "w", force_zip64=True) as entry,
    ):
        for _ in range(size // _MIB):
            entry.write(bytes(_MIB))
    return path


def _wider(path: Path) -> object:
    return datasets.open_dataset(path.parent, "wider")


@pytest.mark.parametrize(
    ("name", "size", "read"),
    [
        ("a.toml", toml_files.MOST_BYTES + 1, lambda path: scenario.load(str(path))),
        ("a.toml", toml_files.MOST_BYTES + 1, lambda path: board.load(str(path))),
        ("a.toml", toml_files.MOST_BYTES + 1, inventory.load),
        ("results.csv", table.MOST_BYTES + 1, table.load),
        ("stm32f439.csv", table.MOST_BYTES + 1, baseline.read),
        ("a.elf", 65 * _MIB, image.read_segments),
        ("a.pt", 513 * _MIB, read_state),
        ("wider_face_val_bbx_gt.txt", (1 << 30) + 1, _wider),
    ],
)
def test_a_file_is_refused_by_its_size(
    tmp_path: Path, name: str, size: int, read: Callable[[Path], object]
) -> None:
    with pytest.raises(HilError, match=r"larger than|more than"):
        read(sparse(tmp_path / name, size))


def test_a_photograph_is_refused_by_the_size_that_it_declares(tmp_path: Path) -> None:
    bomb = png(tmp_path / "a.png", 30_000, 30_000)
    assert bomb.stat().st_size < 12_000
    with pytest.raises(UsageError, match=r"30000x30000 pixels, more than|decompression bomb"):
        photographs.read(bomb)


def test_a_checkpoint_is_refused_by_what_it_unpacks_to_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = packed(tmp_path / "a.pt", 520 * _MIB)
    assert bomb.stat().st_size < _MIB
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UsageError, match="unpacks to 545,259,520 B, more than"):
        read_state(bomb)


def test_a_file_without_end_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        inventory.load(Path("/dev/zero"), tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        table.load(Path("/dev/zero"))
