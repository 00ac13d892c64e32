"""clang-tidy over the firmware's C, where it is installed: `pip install clang-tidy`.

    python tests/tidy.py              files that have changed since they were last found clean
    python tests/tidy.py firmware/kernels/heads.c

The checks are those of firmware/.clang-tidy, which says why some are left out.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from native_device import BOARD

from hil.paths import FIRMWARE, cache

CHECKS = FIRMWARE / ".clang-tidy"


def program() -> str | None:
    """Return where clang-tidy is: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name("clang-tidy")
    return str(beside) if beside.is_file() else shutil.which("clang-tidy")


def sources() -> list[Path]:
    """Return the firmware's portable C; what a chip's folder has needs its own compiler."""
    return [
        path for room in ("kernels", "runtime") for path in sorted((FIRMWARE / room).glob("*.c"))
    ]


def complaints(tidy: str, files: Sequence[Path]) -> list[str]:
    """Return what clang-tidy says of files, a line each."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "board.h").write_text(BOARD, encoding="utf-8")
        command = [tidy, "--quiet", f"--config-file={CHECKS}", *map(str, files), "--"]
        command += [
            "-std=gnu11",
            "-DHIL_CONTRACTS",
            f"-I{FIRMWARE}",
            f"-I{FIRMWARE / 'runtime'}",
            f"-I{folder}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    return [line for line in said if "warning:" in line or "error:" in line]


def _digest() -> str:
    """Return a digest of all that the outcome hangs on."""
    found = hashlib.sha256(CHECKS.read_bytes())
    for path in sorted(FIRMWARE.rglob("*.[ch]")):
        found.update(path.read_bytes())
    return found.hexdigest()[:24]


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="*", type=Path)
    options = parser.parse_args()
    tidy = program()
    if tidy is None:
        print("clang-tidy: skipped, it is not installed: pip install clang-tidy")
        return 0
    clean = cache() / "native" / f"tidy-{_digest()}"
    if not options.file and clean.is_file():
        return 0
    found = complaints(tidy, options.file or sources())
    print("\n".join(found))
    if not found and not options.file:
        clean.parent.mkdir(parents=True, exist_ok=True)
        clean.touch()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(_main())
