"""Emulated chips, a folder for each family: memories, clocks and peripherals around the core."""
