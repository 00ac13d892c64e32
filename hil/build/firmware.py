"""The firmware build: a model's C sources in, an image out, cached by content."""

import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from hil.build import chips
from hil.build.image import Footprint, Image, Section, Segment, read_segments
from hil.build.objects import Recipe
from hil.build.once import digest, made_once
from hil.build.toolchain import Toolchain, environment, find_toolchain
from hil.config.board import Board, Memory, SerialPort
from hil.errors import BuildError, MemoryLimitError
from hil.limits import limit
from hil.paths import FIRMWARE, cache

__all__ = [
    "Footprint",
    "Image",
    "Section",
    "Segment",
    "Toolchain",
    "build",
    "find_toolchain",
    "read_segments",
]

_DEADLINE_S = 300.0
_MOST_LINES_SHOWN = 40


def build(model_dir: Path, board: Board, toolchain: Toolchain, *, anew: bool = False) -> Image:
    """Compile and link a model's sources with the runtime, or return the image made before.

    Images are cached by the content of all sources, the board's values and the compiler, under
    `hil.paths.cache()`; the same content gives the same bytes in any directory.

    Args:
        model_dir: the C files that implement `firmware/runtime/model.h`, and nothing else.
        board: whose memory, clock and serial port the image is for.
        toolchain: what compiles it.
        anew: compile it, whatever was made before.

    Raises:
        BuildError: the compiler or linker refuses; carries what it said.
        MemoryLimitError: the image does not fit; says which region lacks how many bytes.
    """
    settings = _settings(board) | ({"HIL_CONTRACTS": "1"} if toolchain.contracts else {})
    chip_dir = chips.folder(board.chip).resolve()
    words = (toolchain.fingerprint, str(sorted(settings.items())))
    cached = cache() / "firmware" / f"{digest(words, (FIRMWARE, chip_dir, model_dir))}.elf"

    def make(scratch: Path) -> Path:
        folders = {
            "HIL_MODEL": str(model_dir.resolve()),
            "HIL_CHIP_DIR": str(chip_dir),
            "HIL_KEPT": str(scratch / "kept"),
        }
        objects = Recipe(FIRMWARE.resolve(), chip_dir, settings, _recipe(toolchain))
        if not anew:
            objects.take(scratch / "kept")
        elf = _compile(scratch, settings | folders, toolchain)
        Image.read(elf)
        objects.keep(scratch, _ninja(scratch, "-t", "deps"))
        return elf

    return Image.read(made_once(cached, make, anew=anew))


def _settings(board: Board) -> dict[str, str]:
    """Return the board's values as CMake variables; these and the sources decide the image."""
    settings = {
        "HIL_BOARD": board.name,
        "HIL_CHIP": board.chip,
        "HIL_DEV_ID": f"0x{board.dev_id:03X}",
        "HIL_CLOCK_HZ": str(board.clock_hz),
        "HIL_CLOCK_SOURCE": board.clock_source.replace("-", "_"),
        "HIL_HSE_HZ": str(board.hse_hz),
        "HIL_FLASH_WAIT_STATES": str(board.flash_wait_states),
        "HIL_PORTS": " ".join(map(_port_setting, board.ports)),
        "HIL_BAUD": str(board.baud),
        "HIL_STACK_BYTES": str(limit("RUNTIME_STACK_BYTES")),
        "HIL_EXTERNAL": _external_setting(board.external),
    }
    return settings | _memory_settings(board)


def _port_setting(port: SerialPort) -> str:
    """Return a serial port as board.h lists it; of a pin such as PA9 the port, 0 for A, and 9."""
    return f"X({port.uart}, {_pin(port.tx)}, {_pin(port.rx)})"


def _pin(name: str) -> str:
    return f"{ord(name[1]) - ord('A')}, {name[2:]}"


def _external_setting(memory: Memory | None) -> str:
    """Return what board.h says of a memory outside the chip; nothing where there is none."""
    if memory is None or memory.sdram is None:
        return ""
    values = {name: value for name, value in vars(memory.sdram).items() if name != "pins"}
    pins = " ".join(f"X({_pin(pin)})" for pin in memory.sdram.pins)
    lines = [f"#define BOARD_SDRAM_{name.upper()} {value}" for name, value in values.items()]
    return "\n".join([*lines, f"#define BOARD_SDRAM_PINS(X) {pins}"])


def _memory_settings(board: Board) -> dict[str, str]:
    """Return what the linker script is made of; static data is in CCM where there is one."""
    regions = {"flash": ("rx", board.flash), "sram": ("rwx", board.sram)}
    if board.ccm is not None:
        regions["ccm"] = ("rw", board.ccm)
    if board.arena_outside:
        regions["external"] = ("rw", board.arena)
    lines = [
        f"{name.upper()} ({may}) : ORIGIN = 0x{region.address:08X}, LENGTH = {region.bytes}"
        for name, (may, region) in regions.items()
    ]
    fast = "sram" if board.ccm is None else "ccm"
    return {"HIL_MEMORY": "\n    ".join(lines), "HIL_STATIC": fast, "HIL_FAST": fast.upper()} | {
        "HIL_ARENA": "EXTERNAL" if board.arena_outside else "SRAM"
    }


def _compile(scratch: Path, settings: dict[str, str], toolchain: Toolchain) -> Path:
    variables = settings | {
        "HIL_COMPILER": str(toolchain.program),
        "CMAKE_MAKE_PROGRAM": str(_wheel_program("ninja")),
        # Said even where empty, or CMake takes them from the environment.
        "CMAKE_C_FLAGS": " ".join(toolchain.flags),
        "CMAKE_EXE_LINKER_FLAGS": "",
        "CMAKE_BUILD_TYPE": "",
    }
    configure = [
        str(_wheel_program("cmake")),
        *("-G", "Ninja", "-S", str(FIRMWARE), "-B", str(scratch)),
        f"--toolchain={toolchain.cmake_file}",
        *(f"-D{name}={value}" for name, value in variables.items()),
    ]
    _run(configure, "configure")
    _ninja(scratch)
    return scratch / "firmware.elf"


def _ninja(build_dir: Path, *tool: str) -> str:
    """Run Ninja in CMake's build folder: a build, or one of Ninja's own tools where it is named."""
    program = str(_wheel_program("ninja"))
    return _run([program, "-C", str(build_dir), "--quiet", *tool], "compile")


def _recipe(toolchain: Toolchain) -> tuple[str, ...]:
    """Return what decides what a compiler makes of a source, beside the board's values."""
    files = (FIRMWARE / "CMakeLists.txt", *sorted(FIRMWARE.glob("toolchains/*")))
    return (toolchain.fingerprint, *(file.read_text(encoding="utf-8") for file in files))


def _wheel_program(name: str) -> Path:
    """Return the cmake or ninja of this Python's wheel, whatever else stands on PATH."""
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(name) or ():
            program = Path(str(file.locate()))
            if program.stem == name and program.parent.name == "bin" and program.is_file():
                return program.resolve()
    raise BuildError(f"{name} is not installed", hint=f"pip install {name}", stage="toolchain")


def _run(command: list[str], stage: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_DEADLINE_S,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"{command[0]} did not finish within {_DEADLINE_S:.0f} s",
            hint="is the machine overloaded, or its disk full?",
            stage=stage,
        ) from error
    except OSError as error:
        raise BuildError(
            f"{command[0]} cannot be started: {error}", hint="hil doctor", stage=stage
        ) from error
    if done.returncode != 0:
        _raise_if_too_large(done.stdout)
        raise BuildError(
            f"the firmware does not {stage}:\n{_gist(done.stdout)}",
            hint="the first error above is the one to mend",
            stage=stage,
        )
    return done.stdout


def _raise_if_too_large(output: str) -> None:
    """Tell an image that exceeds a memory region from one that does not link at all."""
    overflows = [line for line in output.splitlines() if "overflowed by" in line]
    if overflows:
        complaint = overflows[-1].rpartition("error: ")[2].rpartition("ld: ")[2]
        raise MemoryLimitError(
            f"the image does not fit the board: {complaint}",
            hint="a smaller model, or a board with more memory",
            stage="link",
        )


def _gist(output: str) -> str:
    """Return what the compiler said, without Ninja's own lines and the commands it ran."""
    said, previous = [], ""
    for line in output.splitlines():
        if not line.startswith(("[", "ninja: ", "FAILED: ")) and not previous.startswith("FAILED"):
            said.append(line)
        previous = line
    left = len(said) - _MOST_LINES_SHOWN
    return "\n".join([*said[:_MOST_LINES_SHOWN], *([f"... {left} more lines"] if left > 0 else [])])
