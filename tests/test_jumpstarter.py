"""The emulated board as an exporter of Jumpstarter serves it, met by Jumpstarter's own client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_targets import ECHO
from thumb import assemble

from hil.build.image import read_segments

pytest.importorskip("jumpstarter", reason="Jumpstarter is not installed: the extra [jumpstarter]")
pytest.importorskip("jumpstarter_driver_pyserial", reason="the extra [jumpstarter] is not whole")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from jumpstarter.common.utils import serve

    from hil.targets.emulator.jumpstarter import EmulatedBoard

    with pytest.MonkeyPatch.context() as patch, serve(EmulatedBoard()) as served:
        patch.setenv("TERM", "dumb")  # else its bars go on in the output of other tests
        yield served


def test_a_board_is_flashed_and_talked_to(client: Any) -> None:
    elf = assemble(ECHO)
    with client.serial.pexpect() as console:
        for _ in range(2):
            client.flash(elf)
            console.expect_exact(b">", timeout=120)
            console.send(b"hello")
            console.expect_exact(b"ifmmp", timeout=120)


def test_a_restart_begins_again(client: Any) -> None:
    client.flash(assemble(ECHO))
    with client.serial.pexpect() as console:
        console.expect_exact(b">", timeout=120)
        client.restart()
        console.expect_exact(b">", timeout=120)


def test_cycles_go_on_and_memory_is_read(client: Any) -> None:
    elf = assemble(ECHO)
    client.flash(elf)
    before = client.cycles()
    first = read_segments(elf)[0]
    assert client.read_memory(first.address, 16) == first.data[:16]
    client.restart()
    assert client.cycles() > before > 0


def test_the_flash_can_be_had_back(client: Any, tmp_path: Path) -> None:
    elf = assemble(ECHO)
    client.flash(elf)
    client.dump(tmp_path / "flash.bin")
    content = (tmp_path / "flash.bin").read_bytes()
    assert len(content) == 2 << 20
    for segment in read_segments(elf):
        at = segment.address - 0x0800_0000
        assert content[at : at + len(segment.data)] == segment.data


def test_what_cannot_be_flashed_is_told_and_the_board_lives_on(client: Any, tmp_path: Path) -> None:
    from jumpstarter.client.core import DriverError

    junk = tmp_path / "junk.elf"
    junk.write_bytes(b"no ELF file")
    told = pytest.RaisesGroup(
        pytest.RaisesExc(DriverError, match="cannot be read as a firmware image"),
        flatten_subgroups=True,
    )
    with told:
        client.flash(junk)
    with pytest.raises(DriverError, match="at most 1,048,576 B"):
        client.read_memory(0x0800_0000, 1 << 21)
    client.flash(assemble(ECHO))
    assert client.cycles() > 0
