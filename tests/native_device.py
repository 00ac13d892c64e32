"""The firmware's side of the link compiled for this machine, with the tiny model behind it."""

import ctypes
import hashlib
import subprocess
import tempfile
from pathlib import Path

import tiny_model
from sanitizers import compiler, sanitized, undefined_behaviour

from hil.paths import FIRMWARE, cache

BUILD_ID = bytes(range(100, 120))

BOARD = (
    '#define BOARD_NAME "host"\n#define BOARD_CLOCK_HZ 168000000u\n#define BOARD_BAUD 1000000u\n'
)
HOST = """
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "runtime/link.c"
#include "runtime/serve.c"

enum { MOST_SAID = 1 << 16, STACK = 1 << 18 };
static ucontext_t host, device; /* the device's loop runs until it lacks a byte */
static uint8_t stack[STACK];
static const uint8_t *to_hear;
static uint32_t left;
uint8_t said[MOST_SAID];
uint32_t said_bytes;
bool crashed;
uint32_t ticks;
uint32_t baud = BOARD_BAUD;

uint32_t stack_bottom[1], stack_top[1], data_start[1], data_end[1], bss_start[1], bss_end[1];
uint32_t noinit_start[1], noinit_end[1];
const uint32_t build_id_note[9] = {4, 20, 3, 0x00554E47, 0x67666564, 0x6B6A6968, 0x6F6E6D6C,
                                   0x73727170, 0x77767574};
static const link_fault_t fault = {.exception = 3, .pc = 0x08001234, .cfsr = 1u << 25};

void port_send(uint8_t byte) {
    if (said_bytes < MOST_SAID) {
        said[said_bytes++] = byte;
    }
}
uint8_t port_receive(void) {
    while (left == 0) {
        swapcontext(&device, &host);
    }
    left--;
    return *to_hear++;
}
void port_drain(void) {}
bool port_reaches(uint32_t wanted) { return wanted >= 9600 && wanted <= BOARD_BAUD; }
void port_use_baud(uint32_t wanted) { baud = wanted; }
void port_empty_caches(void) {}
port_errors_t port_errors(void) { return (port_errors_t){.overruns = 1, .framing = 2}; }
uint32_t cycles_now(void) { return ticks += 1000; }
uint32_t stack_bytes(void) { return 8192; }
uint32_t stack_high_water(void) { return 300; }
const link_fault_t *fault_recorded(void) { return crashed ? &fault : NULL; }
void fault_forget(void) { crashed = false; }
char note[64];
const char *fault_note(void) { return note; }
void contract_broken(const char *file, uint32_t line, const char *condition) {
    fprintf(stderr, "%s:%u: %s\\n", file, (unsigned)line, condition);
    abort();
}

static void live(void) {
    serve_start(true);
    for (;;) {
        serve_byte(port_receive());
    }
}
void boot(bool after_crash) {
    self = (__typeof__(self)){0};
    crashed = after_crash;
    said_bytes = left = 0;
    baud = BOARD_BAUD;
    getcontext(&device);
    device.uc_stack.ss_sp = stack;
    device.uc_stack.ss_size = STACK;
    makecontext(&device, live, 0);
    swapcontext(&host, &device);
}
uint32_t kept_bytes(void) { return self.receiver.watch.count; }
void hear(const uint8_t *bytes, uint32_t count) {
    said_bytes = 0;
    to_hear = bytes;
    left = count;
    swapcontext(&host, &device);
}
"""
_FLAGS = (
    "-shared", "-std=gnu11", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror", "-DHIL_CONTRACTS",
    "-fsanitize=undefined", "-fno-sanitize-recover=undefined",
)  # fmt: skip


class NativeDevice:
    """Answers bytes with bytes, as the board does."""

    def __init__(self, *, streams: bool = False, gives_behind: bool = False) -> None:
        self._library = ctypes.CDLL(str(_build(streams=streams, gives_behind=gives_behind)))
        self.boot()

    def __call__(self, data: bytes) -> bytes:
        self._library.hear(data, ctypes.c_uint32(len(data)))
        return self._said()

    def boot(self, *, after_crash: bool = False, note: str = "") -> bytes:
        """Start anew, with or without a fault on record; returns what the firmware says."""
        (ctypes.c_char * 64).in_dll(self._library, "note").value = note.encode()
        self._library.boot(ctypes.c_bool(after_crash))
        return self._said()

    def start_counting_at(self, ticks: int) -> None:
        """Set the cycle counter; it advances by 1000 at every read."""
        ctypes.c_uint32.in_dll(self._library, "ticks").value = ticks

    def advance(self, ticks: int) -> None:
        """Let time pass on the cycle counter."""
        counter = ctypes.c_uint32.in_dll(self._library, "ticks")
        counter.value += ticks

    @property
    def baud(self) -> int:
        """The port's speed."""
        return ctypes.c_uint32.in_dll(self._library, "baud").value

    @baud.setter
    def baud(self, baud: int) -> None:
        ctypes.c_uint32.in_dll(self._library, "baud").value = baud

    @property
    def kept_bytes(self) -> int:
        """Bytes in the receiver's buffer."""
        return int(self._library.kept_bytes())

    def _said(self) -> bytes:
        count = ctypes.c_uint32.in_dll(self._library, "said_bytes").value
        return bytes((ctypes.c_uint8 * count).in_dll(self._library, "said"))


def _build(*, streams: bool, gives_behind: bool) -> Path:
    """Compile once per content, whoever else does so at the same time."""
    host = HOST + undefined_behaviour()
    settings = (*_FLAGS, str(sanitized()), host, BOARD, str(streams), str(gives_behind))
    digest = hashlib.sha256(" ".join(settings).encode())
    for path in (
        *sorted((FIRMWARE / "runtime").iterdir()),
        FIRMWARE / "contract.h",
        Path(tiny_model.__file__),
    ):
        digest.update(path.read_bytes())
    library = cache() / "native" / f"link-{digest.hexdigest()[:24]}.so"
    if library.is_file():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as name:
        scratch = tiny_model.write(Path(name), streams=streams, gives_behind=gives_behind)
        (scratch / "board.h").write_text(BOARD, encoding="utf-8")
        (scratch / "host.c").write_text(host, encoding="utf-8")
        includes = (f"-I{FIRMWARE}", f"-I{FIRMWARE / 'runtime'}", f"-I{scratch}")
        sources = [str(path) for path in sorted(scratch.glob("*.c"))]
        command = [*compiler(_FLAGS), *includes, *sources]
        done = subprocess.run(
            [*command, "-o", str(scratch / "link.so")], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        (scratch / "link.so").replace(library)
    return library
