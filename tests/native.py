"""Emitted models compiled for this machine, so that tests run kernels without a board."""

import ctypes
import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sanitizers import compiler, sanitized, undefined_behaviour

from hil.compiler import emit
from hil.compiler.plan import Budget, Plan, make_plan
from hil.compiler.program import Int8, Program, Quantised
from hil.paths import FIRMWARE
from hil.paths import cache as cache_directory

ROOMY = Budget(sram_bytes=4 << 20, ccm_bytes=1 << 20)
_HOST = """
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "runtime/stream.c"

const int8_t *host_input;
int8_t *host_result;
int32_t host_laps[128];

bool model_take(uint32_t offset, int8_t *to, uint32_t bytes) {
    memcpy(to, host_input + offset, bytes);
    return true;
}
bool model_give(uint32_t offset, const int8_t *from, uint32_t bytes) {
    memcpy(host_result + offset, from, bytes);
    return true;
}
void model_lap(uint32_t layer) { host_laps[layer]++; }

char host_broken[512]; /* the contract that the last run broke */
static jmp_buf before;
void contract_broken(const char *file, uint32_t line, const char *condition) {
    snprintf(host_broken, sizeof host_broken, "%s:%u: %s", file, (unsigned)line, condition);
    longjmp(before, 1);
}
bool host_run(void (*run)(void));
bool host_run(void (*run)(void)) {
    if (setjmp(before) != 0) {
        return false;
    }
    run();
    return true;
}
"""
_FLAGS = (
    "-std=c11", "-O2", "-g0", "-fPIC", "-fno-math-errno", "-Wall", "-Wextra", "-Wconversion",
    "-Wshadow", "-Werror", "-DHIL_CONTRACTS", "-fsanitize=undefined",
    "-fno-sanitize-recover=undefined",
)  # fmt: skip


class BrokenContractError(AssertionError):
    """A kernel was called as it must not be."""


@dataclass(frozen=True)
class NativeModel:
    """An emitted model in a shared library."""

    loaded: ctypes.CDLL
    program: Program

    def run(self, x: Int8) -> Quantised:
        """Put an input where the model reads it, run every layer, return the outputs."""
        if ctypes.c_bool.in_dll(self.loaded, "model_streams").value:
            return self._stream(x)
        arena = (ctypes.c_uint8 * self._number("model_arena_bytes")).in_dll(
            self.loaded, "model_arena"
        )
        at = self._number("model_input_offset")
        data = x.astype(np.int8).tobytes()
        ctypes.memmove(ctypes.addressof(arena) + at, data, len(data))
        self._run_layers()
        at = self._number("model_output_offset")
        out = bytes(arena[at : at + self._number("model_output_bytes")])
        return self.program.decode_output(out)

    def _stream(self, x: Int8) -> Quantised:
        """Let the model take the input and give the result as it runs."""
        data = ctypes.create_string_buffer(x.astype(np.int8).tobytes(), x.size)
        result = ctypes.create_string_buffer(self._number("model_output_bytes"))
        for name, buffer in (("host_input", data), ("host_result", result)):
            ctypes.c_void_p.in_dll(self.loaded, name).value = ctypes.addressof(buffer)
        self._run_layers()
        return self.program.decode_output(result.raw)

    def _run_layers(self) -> None:
        self.loaded.model_init()
        for index in range(self._number("model_layer_count")):
            run = self._layers()[index].run
            if run and not self.loaded.host_run(run):
                broken = (ctypes.c_char * 512).in_dll(self.loaded, "host_broken")
                raise BrokenContractError(broken.value.decode())

    def layer_names(self) -> list[str]:
        """The layers' names in order."""
        count = self._number("model_layer_count")
        return [self._layers()[i].name.decode() for i in range(count)]

    def _number(self, name: str) -> int:
        return ctypes.c_uint32.in_dll(self.loaded, name).value

    def _layers(self) -> "ctypes.Array[_Layer]":
        return (_Layer * self._number("model_layer_count")).in_dll(self.loaded, "model_layers")


class _Layer(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("macs", ctypes.c_uint32),
        ("run", ctypes.CFUNCTYPE(None)),
    )


def compile_program(program: Program, plan: Plan | None = None) -> tuple[NativeModel, Plan]:
    """Plan, emit and compile a program for this machine."""
    plan = plan or make_plan(program, ROOMY)
    with tempfile.TemporaryDirectory() as name:
        emit.write(program, plan, Path(name))
        return NativeModel(ctypes.CDLL(str(_build(Path(name)))), program), plan


def run_program(program: Program, x: Int8, plan: Plan | None = None) -> Quantised:
    """Compile a program for this machine and run it once."""
    return compile_program(program, plan)[0].run(x)


def load(source: Path, library: Path) -> ctypes.CDLL:
    """Compile a C file with the kernels and what host tests have beside them."""
    _compile(["-shared", "-I", str(FIRMWARE), str(source), str(_kernels())], library)
    return ctypes.CDLL(str(library))


def _build(model: Path) -> Path:
    objects = _kernels()
    digest = hashlib.sha256(str(objects).encode())
    for path in sorted(model.iterdir()):
        digest.update(path.read_bytes())
    library = _directory() / f"model-{digest.hexdigest()[:24]}.so"
    if not library.is_file():
        arguments = ["-shared", "-I", str(FIRMWARE), "-I", str(model)]
        _compile([*arguments, str(as_one(model)), str(objects)], library)
    return library


@cache
def _kernels() -> Path:
    """The kernels' objects in one archive, built again when any kernel changes."""
    sources = sorted((FIRMWARE / "kernels").glob("*.c"))
    digest = hashlib.sha256(" ".join((*_FLAGS, _host(), str(sanitized()))).encode())
    for path in (
        *sorted((FIRMWARE / "kernels").iterdir()),
        *(FIRMWARE / "runtime").glob("*.h"),
        *(FIRMWARE / "runtime").glob("stream.*"),
        FIRMWARE / "contract.h",
    ):
        digest.update(path.read_bytes())
    combined = _directory() / f"kernels-{digest.hexdigest()[:24]}.o"
    if not combined.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            host = Path(scratch) / "host.c"
            host.write_text(_host(), encoding="utf-8")
            arguments = ["-r", "-nostdlib", "-I", str(FIRMWARE), *map(str, sources), str(host)]
            _compile(arguments, combined)
    return combined


def as_one(model: Path) -> Path:
    """Write a file that includes a model's others: one start of the compiler in place of two."""
    one = model / "one.c"
    names = sorted(path.name for path in model.glob("*.c"))
    one.write_text("".join(f'#include "{name}"\n' for name in names), encoding="utf-8")
    return one


def _host() -> str:
    return _HOST + undefined_behaviour()


def _compile(arguments: list[str], product: Path) -> None:
    """Run the host compiler; of parallel workers that build the same product the last one wins."""
    with tempfile.TemporaryDirectory(dir=product.parent) as scratch:
        unfinished = Path(scratch) / product.name
        command = [*compiler(_FLAGS), *arguments, "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        unfinished.replace(product)


def _directory() -> Path:
    directory = cache_directory() / "native"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
