"""How tests compile C for this machine: zig's compiler, or gcc with its sanitizers.

`make sanitize` sets HIL_SANITIZE and loads the runtime of gcc's AddressSanitizer into Python; each
kernel, the streaming and the firmware's side of the link then run under it, and under
UndefinedBehaviorSanitizer, which zig's builds have at all times.
"""

import os
import sys

SANITIZE = "HIL_SANITIZE"


def sanitized() -> bool:
    """Whether this run is one of `make sanitize`."""
    return bool(os.environ.get(SANITIZE))


def compiler(flags: tuple[str, ...]) -> list[str]:
    """Return the compiler's command with flags that are zig's.

    Args:
        flags: of the usual build; warnings are its own.
    """
    if not sanitized():
        return [sys.executable, "-m", "ziglang", "cc", *flags]
    kept = [flag for flag in flags if not flag.startswith("-W") and not flag.startswith("-O")]
    more = ["-w", "-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    return ["gcc", *kept, *more]
