"""Unicorn, with additions that set the Q flag translated to host instructions (translation.c).

SMLAD and its like are most of what an int8 network executes, and Unicorn calls a function for each
of their additions. Without the calls RNNPool-Face-M4 runs twice as fast. Results and flags are the
same, for every engine of the process.

What replaces the calls has to fit Unicorn's insides. So it is used with the very library it was
proved with, known by its build id, and only where it passes a test when it is loaded. Elsewhere,
and where something else has imported Unicorn before, Unicorn does as it always did.
"""

import ctypes
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from hil.build import native
from hil.errors import BuildError

PROVED = bytes.fromhex("44285d3e80527122e9e361928189385906ec813e")
"""The build id of the library that this was proved with: Unicorn 2.1.4's wheel for Linux, x86-64
and the GNU C library."""
_HEADER_BYTES = 4096  # of the library; the build id is among them
_STATE_BYTES = 1 << 16  # more than a core's registers and flags take
_PAGE_BYTES = 4096

_SMLAD, _SMLABB = bytes.fromhex("21fb0230"), bytes.fromhex("11fb0230")  # r0, r1, r2, r3
_SUMS: tuple[tuple[bytes, tuple[int, int, int], tuple[int, int]], ...] = (
    # instruction; r1, r2, r3; what r0 and Q are then
    (_SMLAD, (0x8000_8000, 0x8000_8000, 0), (0x8000_0000, 1)),
    (_SMLAD, (0x0002_0003, 0x0004_0005, 0x7FFF_FFFF), (0x8000_0016, 1)),
    (_SMLAD, (0x0002_0003, 0x0004_0005, 0xFFFF_FFFF), (0x0000_0016, 0)),
    (_SMLAD, (0xFFFF_0000, 0x0001_0000, 0x8000_0000), (0x7FFF_FFFF, 1)),
    (_SMLAD, (0xFFFF_0000, 0x0001_0000, 0x0000_0001), (0x0000_0000, 0)),
    (_SMLABB, (0xFFFF_8000, 0x0000_8000, 0x4000_0000), (0x8000_0000, 1)),
    (_SMLABB, (0x0001_0002, 0x0001_0003, 0x7FFF_FFF0), (0x7FFF_FFF6, 0)),
)
_Q_BIT = 27


class _Translation(ctypes.Structure):
    """`translation_t` of translation.c."""

    _fields_: ClassVar = [
        ("call", ctypes.c_void_p),
        ("op2", ctypes.c_void_p),
        ("op3", ctypes.c_void_p),
        ("and_not", ctypes.c_void_p),
        ("constant", ctypes.c_void_p),
        ("new_variable", ctypes.c_void_p),
        ("free_variable", ctypes.c_void_p),
        ("add_setting_q", ctypes.c_void_p),
        ("q_place", ctypes.c_uint64),
        ("additions", ctypes.c_uint64),
    ]
    add_setting_q: int | None
    q_place: int
    additions: int


_FUNCTIONS = {
    "call": "tcg_gen_callN_arm",
    "op2": "tcg_gen_op2_arm",
    "op3": "tcg_gen_op3_arm",
    "and_not": "tcg_gen_andc_i32_arm",
    "constant": "tcg_const_i32_arm",
    "new_variable": "tcg_temp_new_internal_arm",
    "free_variable": "tcg_temp_free_internal_arm",
    "add_setting_q": "helper_add_setq_arm",
}
_HERE = Path(__file__).parent
_SOURCE = native.Source(
    _HERE / "translation.c", _HERE, mirrors=[native.Mirror(_Translation, "translation_t")]
)
_lock = threading.Lock()
_package: ModuleType | None = None
_slow_because: str | None = "nothing has been emulated yet"


def unicorn() -> Any:
    """Return the package `unicorn`; whoever needs it first gets it here."""
    global _package, _slow_because  # noqa: PLW0603 - a process loads a library once
    with _lock:
        if _package is None:
            _slow_because = (
                "something else imported Unicorn before" if "unicorn" in sys.modules else _load()
            )
            import unicorn as package

            _package = package
        return _package


def slow_because() -> str | None:
    """Return why additions that set the Q flag go Unicorn's own way; None where they do not."""
    return _slow_because


def _load() -> str | None:
    library = _library()
    if library is None or not _is_proved(library):
        return "it is not proved with this Unicorn on this machine"
    try:
        ours = native.load(_SOURCE, for_all=True)
    except (BuildError, OSError) as error:
        return f"translation.c cannot be built or loaded: {error}"
    from unicorn.unicorn_py3.unicorn import uclib

    if not library.samefile(uclib._name):  # noqa: SLF001 - the path that ctypes has loaded
        return "Unicorn was loaded from elsewhere"
    begin = ours.translation_begin
    begin.argtypes, begin.restype = [ctypes.c_void_p], ctypes.POINTER(_Translation)
    with_ = _Translation(
        **{member: _address(getattr(uclib, name)) for member, name in _FUNCTIONS.items()},
        q_place=_q_place(uclib.helper_add_setq_arm),
    )
    begun = begin(ctypes.byref(with_))
    if not begun:
        return "Unicorn's library is not found in memory"
    if not _is_right() or not begun.contents.additions:
        begun.contents.add_setting_q = None
        return "Unicorn's translation does not pass through it"
    return None


def _library() -> Path | None:
    package = find_spec("unicorn")
    if package is None or package.origin is None:
        return None
    library = Path(package.origin).parent / "lib" / "libunicorn.so.2"
    return library if library.is_file() else None


def _is_proved(library: Path) -> bool:
    with library.open("rb") as file:
        return PROVED in file.read(_HEADER_BYTES)


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def _q_place(add_setting_q: Any) -> int:
    """Return where the Q flag is in the state of a core: the word that an overflow changes."""
    state = ctypes.create_string_buffer(_STATE_BYTES)
    add_setting_q(state, ctypes.c_uint32(0x7FFF_FFFF), ctypes.c_uint32(1))
    return state.raw.index(1)


def _is_right() -> bool:
    """Whether additions come out as they must, translated as they are now."""
    import unicorn
    from unicorn import arm_const

    library: Any = unicorn
    core = library.Uc(library.UC_ARCH_ARM, library.UC_MODE_THUMB | library.UC_MODE_MCLASS)
    core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    core.mem_map(0, _PAGE_BYTES)
    core.mem_write(0, b"".join(code for code, _, _ in _SUMS))
    r0, xpsr = arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_XPSR_NZCVQG
    for number, (code, values, expected) in enumerate(_SUMS):
        core.reg_write(xpsr, 0)
        for register, value in enumerate(values, r0 + 1):
            core.reg_write(register, value)
        at = number * len(code)
        core.emu_start(at | 1, at + len(code))
        q = core.reg_read(arm_const.UC_ARM_REG_XPSR) >> _Q_BIT & 1
        if (core.reg_read(r0), q) != expected:
            return False
    return True
