"""What a run of the suite imports is set aside, so that no garbage is sought there."""

import subprocess
import sys
from textwrap import dedent

import pytest

_STAYING = """
    import gc
    from hil.pytest_plugin import garbage

    class Ring:
        def __init__(self):
            self.own = self

    try:
        with garbage.staying():
            assert not gc.isenabled()
            stays = Ring()
            raise KeyError("ends the block")
    except KeyError:
        pass
    assert gc.isenabled()
    assert gc.is_tracked(stays) and not any(one is stays for one in gc.get_objects())
    goes = Ring()
    assert any(one is goes for one in gc.get_objects())
    gc.disable()
    with garbage.staying():
        pass
    assert not gc.isenabled()
"""
_LOADED = """
    import sys
    from hil.targets.emulator.target import EmulatedTarget

    EmulatedTarget.load()
    loaded = set(sys.modules)
    assert "unicorn" not in loaded, "the library that makes it quick has to come before"
    from hil.config import board
    from hil.targets.emulator.core import translation

    target = EmulatedTarget(board.load("stm32f439"))
    with target:
        target.serial()
    late = sorted(one for one in set(sys.modules) - loaded if one.startswith("pyocd"))
    assert not late, late
"""


@pytest.mark.parametrize("program", [_STAYING, _LOADED], ids=["staying", "loaded"])
def test_what_is_imported_is_set_aside_before_boards_come(program: str) -> None:
    """In a process of its own: what is set aside stays so."""
    run = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
