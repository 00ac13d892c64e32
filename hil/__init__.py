"""Hardware-in-the-loop tests for RNNPool vision models on Cortex-M4 microcontrollers."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rnnpool-hil")
except PackageNotFoundError:  # a checkout that is run without having been installed
    __version__ = "0+unknown"
