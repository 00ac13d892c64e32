"""Serial ports of the emulated board as pyserial URLs: `emulator://UNIQUE-ID/usart1`."""

import serial


def register() -> None:
    """Let `serial.serial_for_url` know the URLs; once is enough, more is harmless."""
    if __name__ not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(__name__)


def open_port(unique_id: str, usart: str) -> serial.SerialBase:
    """Open a serial port of a powered board. Raises serial.SerialException.

    Args:
        unique_id: of the board.
        usart: its name, such as "usart1".
    """
    register()
    port: serial.SerialBase = serial.serial_for_url(f"emulator://{unique_id}/{usart}")
    return port
