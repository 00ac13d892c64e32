"""The cosine of two vectors, exact in its sums."""

import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hil.compiler.similarity import cosine

FLOATS = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)
_PRINTED = """
import numpy as np
from hil.compiler.similarity import cosine
random = np.random.default_rng(1)
x, y = random.normal(size=18000).astype(np.float32), random.normal(size=18000).astype(np.float32)
print(cosine(x, x + y / 30).hex())
"""


def exact(x: np.ndarray, y: np.ndarray) -> Fraction:
    return sum(
        (Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, y, strict=True)), Fraction()
    )


@given(arrays(np.float32, 20, elements=FLOATS), arrays(np.float32, 20, elements=FLOATS))
def test_sums_are_rounded_once(x: np.ndarray, y: np.ndarray) -> None:
    lengths = math.sqrt(float(exact(x, x))) * math.sqrt(float(exact(y, y)))
    assert cosine(x, y) == (float(exact(x, y)) / lengths if lengths else 0.0)


def test_the_order_of_the_values_does_not_matter() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=9999).astype(np.float32), random.normal(size=9999).astype(np.float32)
    order = random.permutation(x.size)
    assert cosine(x, y) == cosine(x[order], y[order])


def test_a_vector_of_zeros_is_like_nothing() -> None:
    assert cosine(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0.0


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_NUM_THREADS": "3", "PYTHONHASHSEED": "7"},
        {"LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    ],
)
def test_it_is_the_same_to_the_bit_in_other_surroundings(environment: dict[str, str]) -> None:
    def printed(more: dict[str, str]) -> str:
        command = [sys.executable, "-c", _PRINTED]
        return subprocess.run(
            command, env=os.environ | more, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    assert printed(environment) == printed({})
