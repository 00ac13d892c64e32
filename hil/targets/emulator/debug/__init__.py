"""What a debugger sees of the core: debug port, halting, breakpoints, watchpoints, semihosting."""
