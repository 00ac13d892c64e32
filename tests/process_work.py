"""What processes of tests do."""

import os
import signal
from threading import Event

from hil.studies.programs.processes import Voice


def doubles_or_dies(item: int, voice: Voice) -> int:
    """Say the item and return it twice; 0 is killed, 1 ends the process by itself."""
    voice.say("item", str(item).encode())
    if item == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 1:
        os._exit(7)
    return 2 * item


def waits(_item: int, voice: Voice) -> str:
    """Work until it is called off."""
    called = Event()
    voice.on_call_off = called.set
    if voice.called_off:
        called.set()
    voice.say("waits", b"")
    called.wait()
    return "called off"


def hears_nothing(_item: int, voice: Voice) -> str:
    """Work for ever, whatever it is told."""
    voice.say("waits", b"")
    Event().wait()
    return "never"
