"""Inputs that reach new places of the firmware's C end nothing; `make fuzz` goes on for longer."""

import shutil
from pathlib import Path

import pytest
from firmware_fuzz import KERNELS, LINK, fuzz, kernels

from hil.paths import FIRMWARE

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc on PATH")
_WITHOUT_DESCRIPTOR = {"panels"}  # its descriptors are part of those that pass through it


def test_every_kernel_has_descriptors_that_are_fuzzed() -> None:
    files = {path.stem for path in (FIRMWARE / "kernels").glob("*.c")}
    assert set(kernels()) == files - _WITHOUT_DESCRIPTOR


@needs_gcc
@pytest.mark.parametrize("target", [LINK, KERNELS])
def test_no_input_ends_the_firmwares_c(target: str, tmp_path: Path) -> None:
    found = fuzz(target, tmp_path / "crash", ["--runs", "2000", "--seed", "1"])
    assert found.crash is None, found.said
    assert found.runs == 2000


@needs_gcc
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kernel", [LINK, *kernels()])
def test_no_descriptor_of_a_kernel_ends_it(kernel: str, tmp_path: Path) -> None:
    found = fuzz(kernel, tmp_path / "crash", ["--runs", "20000", "--seed", "2"])
    assert found.crash is None, found.said


@needs_gcc
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("target", "file", "contract", "told"),
    [
        (
            "maxout",
            "kernels/maxout.c",
            "REQUIRES(1 <= layer->groups && layer->groups <= layer->channels);",
            "heap-buffer-overflow",
        ),
        (
            "gated_pool",
            "kernels/gated_pool.c",
            "REQUIRES(pool->row.index_bits == pool->summary.index_bits);",
            "heap-buffer-overflow",
        ),
        (
            LINK,
            "runtime/serve.c",
            "request->data_bytes > model_input_bytes - request->offset",
            "global-buffer-overflow",
        ),
    ],
)
def test_a_check_that_is_missing_is_found_with_an_input_that_shows_it_again(
    target: str, file: str, contract: str, told: str, tmp_path: Path
) -> None:
    firmware = Path(shutil.copytree(FIRMWARE, tmp_path / "firmware"))
    text = (firmware / file).read_text(encoding="utf-8")
    assert contract in text
    (firmware / file).write_text(text.replace(contract, "" if ";" in contract else "false"))
    found = fuzz(target, tmp_path / "crash", ["--runs", "300000"], firmware)
    assert found.crash is not None
    assert told in found.said
    again = fuzz(target, tmp_path / "again", [str(found.crash)], firmware)
    assert told in again.said
