"""Coverage-guided fuzzing of the firmware's C: its side of the link, and every kernel's descriptor.

    python tests/firmware_fuzz.py --seconds 60           link and kernels, so long each
    python tests/firmware_fuzz.py heads --seconds 600    one kernel's descriptors
    python tests/firmware_fuzz.py link --input CRASH     one input again

The targets in tests/fuzz have libFuzzer's interface. They are compiled by gcc with its address and
undefined sanitizers and with contracts, and driven by tests/fuzz/driver.c, which keeps what reaches
new places, as AFL and libFuzzer do. What ends one is an input of a crash, kept by its name.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import native_device
import tiny_model

from hil.paths import FIRMWARE, cache

SOURCES = Path(__file__).parent / "fuzz"
LINK, KERNELS = "link", "kernels"
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
_FLAGS = (
    *("-std=gnu11", "-O1", "-g", "-w", "-DHIL_CONTRACTS", "-fno-omit-frame-pointer"),
    *(*_SANITIZE, "-fsanitize-coverage=trace-pc,trace-cmp"),
)
_DRIVER_FLAGS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address")


def kernels() -> list[str]:
    """Return the kernels whose descriptors are fuzzed, as the target names them."""
    text = (SOURCES / "kernels.c").read_text(encoding="utf-8")
    return re.findall(r"\bKERNEL\((\w+)\),", text)


@dataclass(frozen=True)
class Found:
    """What fuzzing came to.

    Attributes:
        said: the target's own words.
        crash: an input that ends it; None where none was found.
    """

    said: str
    crash: Path | None

    @property
    def runs(self) -> int:
        """Inputs that were run; 0 where one ended it."""
        counted = re.search(r"^(\d+) runs", self.said, re.MULTILINE)
        return int(counted[1]) if counted else 0


def target(name: str, firmware: Path = FIRMWARE) -> Path:
    """Compile a target, once per content.

    Args:
        name: LINK, KERNELS or one of `kernels()`.
        firmware: folder of the firmware's sources.
    """
    name = LINK if name == LINK else KERNELS
    digest = hashlib.sha256(" ".join((*_FLAGS, *_DRIVER_FLAGS, native_device.HOST)).encode())
    used = [SOURCES, firmware / "kernels", firmware / "runtime"]
    for path in (
        firmware / "contract.h",
        *(p for folder in used for p in sorted(folder.iterdir())),
    ):
        digest.update(path.read_bytes())
    made = cache() / "native" / f"fuzz-{name}-{digest.hexdigest()[:24]}"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            _compile(name, firmware, Path(folder)).replace(made)
    return made


def _compile(name: str, firmware: Path, folder: Path) -> Path:
    if name == LINK:
        tiny_model.write(folder)
        (folder / "board.h").write_text(native_device.BOARD, encoding="utf-8")
        (folder / "host.c").write_text(native_device.HOST, encoding="utf-8")
        sources = [SOURCES / "link.c", folder / "model.c", folder / "weights.c"]
    else:
        sources = [SOURCES / "kernels.c", *sorted((firmware / "kernels").glob("*.c"))]
    includes = [f"-I{path}" for path in (firmware, firmware / "runtime", SOURCES, folder)]
    _gcc([*_DRIVER_FLAGS, "-c", str(SOURCES / "driver.c"), "-o", str(folder / "driver.o")])
    built = folder / "built"
    words = [*_FLAGS, *includes, *map(str, sources), str(folder / "driver.o"), "-lm"]
    _gcc([*words, "-o", str(built)])
    return built


def _gcc(arguments: Sequence[str]) -> None:
    done = subprocess.run(["gcc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def fuzz(
    name: str,
    keep: Path,
    options: Sequence[str],
    firmware: Path = FIRMWARE,
    timeout_s: float | None = None,
) -> Found:
    """Run a target.

    Args:
        name: as of `target`.
        keep: where an input that ends it is written.
        options: of the driver, such as `--runs 1000`, or inputs.
        firmware: as of `target`.
        timeout_s: after which it is given up; None for as long as it takes.
    """
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    if name in kernels():
        environment["FUZZ_KERNEL"] = name
    command = [str(target(name, firmware)), "--keep", str(keep), *options]
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
    )
    return Found(done.stdout, None if done.returncode == 0 else keep)


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="*", help=f"{LINK}, {KERNELS} or a kernel (default: all)")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(), help="folder for a crash's input")
    parser.add_argument("--input", type=Path, help="run this alone")
    options = parser.parse_args()
    unknown = set(options.target) - {LINK, KERNELS, *kernels()}
    if unknown:
        parser.error(
            f"no target {', '.join(sorted(unknown))}; known: {LINK}, {', '.join(kernels())}"
        )
    if shutil.which("gcc") is None:
        print("skipped: fuzzing the firmware needs gcc on PATH")
        return 0
    found = 0
    for name in options.target or [LINK, KERNELS, *kernels()]:
        words = ["--seconds", str(options.seconds), "--seed", str(options.seed)]
        outcome = fuzz(
            name,
            options.keep / f"crash-{name}.bin",
            [str(options.input)] if options.input else words,
        )
        print(f"{name}: {outcome.said.strip()}", flush=True)
        found += outcome.crash is not None
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(_main())
