"""From generated sources to an image: compilers, the firmware build, what an ELF file holds."""
