"""The STM32L4+'s peripherals, as far as firmware of this project and certified images need them.

Source of all register layouts: RM0432, for STM32L4R and L4S.
"""
