"""An emulated STM32F439 board: core, peripherals, cycle counts, debug port and serial ports."""
