"""Hardware-in-the-loop tests for RNNPool vision models on Cortex-M4 microcontrollers."""

__version__ = "0.1.0"
