"""Whether the serial port and the debug probe lead to one board.

Two boards of a desk may run the same image, so that the build id tells nothing. Bytes that nobody
can guess go in at the port; the probe must find them in the chip's memory.
"""

import secrets
from typing import TYPE_CHECKING

from hil.errors import LinkError
from hil.run.locate import symbol

if TYPE_CHECKING:
    from hil.build.image import Image
    from hil.link.client import Device
    from hil.targets.debugger import Debugger

_SERVING = "self"  # of firmware/runtime/serve.c: holds the last request
_TOKEN_BYTES = 16


def check(image: "Image", device: "Device", debugger: "Debugger | None") -> None:
    """Send bytes over the link and look for them through the probe; without one nothing is known.

    Args:
        image: the firmware that runs.
        device: the board behind the serial port.
        debugger: of the board behind the probe; None where there is no probe.

    Raises:
        LinkError: they are not there. BuildError: the image does not say where they would be.
    """
    if debugger is None:
        return
    token = secrets.token_bytes(_TOKEN_BYTES)
    device.leave(token)
    place = symbol(image, _SERVING)
    if token not in debugger.read(place.address, place.bytes):
        raise LinkError(
            "the serial port is another board's than the debug probe's: what was sent to the one "
            "does not arrive behind the other, though both run this image",
            hint="name the port with --hil-port, or the probe with --hil-probe",
            stage="hello",
        )
