"""The cross compilers, as parameters of tests that hold under each."""

import shutil

import pytest

COMPILERS = [
    "zig",
    pytest.param(
        "gcc",
        marks=[
            pytest.mark.gcc,
            pytest.mark.skipif(
                shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc on PATH"
            ),
        ],
    ),
]
