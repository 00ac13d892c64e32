"""A Cortex-M4 without a chip around it: instructions, exceptions, and the registers of the core.

Source of the architecture: ARM DDI 0403E (ARMv7-M Architecture Reference Manual).
"""
