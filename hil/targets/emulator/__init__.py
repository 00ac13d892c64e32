"""An emulated STM32F4 board: core, peripherals, cycle counts, debug port and serial ports."""
