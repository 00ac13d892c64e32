"""How fast the emulated board is, and what the kernels cost on it."""
