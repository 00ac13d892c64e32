"""The cross compilers, as parameters of tests that hold under each."""

import shutil

import pytest

_GCC = [
    pytest.mark.gcc,
    pytest.mark.skipif(
        shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc on PATH"
    ),
]

COMPILERS = ["zig", pytest.param("gcc", marks=_GCC)]

GCC_AT_NIGHT = ["zig", pytest.param("gcc", marks=[*_GCC, pytest.mark.slow])]
"""For tests that take seconds, and would hardly fail under one compiler alone."""
