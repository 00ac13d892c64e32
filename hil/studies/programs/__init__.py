"""Strangers' programs on the emulated board: `hil emulate`, `hil survey`, `hil.emulator`."""
