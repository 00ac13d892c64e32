"""How tests compile C for this machine: zig's compiler, or gcc with its sanitizers.

`make sanitize` sets HIL_SANITIZE and loads the runtime of gcc's AddressSanitizer into Python; each
kernel, the streaming and the firmware's side of the link then run under it, and under
UndefinedBehaviorSanitizer, which zig's builds have at all times. The emulated board's C parts run
under both there, and without either elsewhere. zig would first compile a runtime
for it and one of its own, 17 CPU seconds; so what it finds is told as a broken contract instead,
and the C library is that of the Python that loads the build.
"""

import os

from hil.build import native
from hil.build.toolchain import find_toolchain

ZIG = [str(find_toolchain("zig").program), "cc"]
"""zig's compiler itself: a Python that starts it takes longer than most of what it compiles."""
SANITIZE = "HIL_SANITIZE"
_PLACE = """
/* What zig's code calls where it finds undefined behaviour, with the place first of all. */
typedef struct {
    const char *file;
    uint32_t line, column;
} undefined_t;
"""
_KIND = """
void __ubsan_handle_%(kind)s%(end)s(const undefined_t *at);
void __ubsan_handle_%(kind)s%(end)s(const undefined_t *at) {
    contract_broken(at->file, at->line, "undefined behaviour: %(kind)s");
}
"""
_KINDS = (
    *("add_overflow", "sub_overflow", "mul_overflow", "negate_overflow", "divrem_overflow"),
    *("shift_out_of_bounds", "out_of_bounds", "type_mismatch_v1", "pointer_overflow"),
    *("load_invalid_value", "vla_bound_not_positive", "alignment_assumption", "invalid_builtin"),
    *("nonnull_arg", "float_cast_overflow"),
)
_CHECKED = ("-w", "-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer")
_WITHOUT_RETURN = ("builtin_unreachable", "missing_return")


def sanitized() -> bool:
    """Whether this run is one of `make sanitize`."""
    return bool(os.environ.get(SANITIZE))


def undefined_behaviour() -> str:
    """Return C that has undefined behaviour end in `contract_broken` of firmware/contract.h."""
    if sanitized():
        return ""  # gcc's own runtime tells it
    ends = dict.fromkeys(_KINDS, "_abort") | dict.fromkeys(_WITHOUT_RETURN, "")
    return _PLACE + "".join(_KIND % {"kind": kind, "end": end} for kind, end in ends.items())


def compiler(flags: tuple[str, ...]) -> list[str]:
    """Return the compiler's command with flags that are zig's, for what Python will load.

    Args:
        flags: of the usual build; warnings are its own.
    """
    if not sanitized():
        return [*ZIG, "-nostdlib", *flags]
    kept = [flag for flag in flags if not flag.startswith(("-W", "-O"))]
    return ["gcc", *kept, *_CHECKED]


def check_emulator() -> None:
    """Have the emulated board's C parts compiled with gcc and its sanitizers from now on."""
    native._COMPILER = ("gcc",)  # type: ignore[assignment]
    kept = (flag for flag in native._FLAGS if not flag.startswith(("-W", "-O", "-mcpu")))
    native._FLAGS = (*kept, *_CHECKED, "-fno-sanitize-recover=undefined")  # type: ignore[assignment]
    native._ALONE = ()
