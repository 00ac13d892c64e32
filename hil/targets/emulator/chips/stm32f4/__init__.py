"""The STM32F4's peripherals, as far as firmware of this project needs them.

Source of all register layouts: RM0090 Rev 21.
"""
