"""Faces in photographs, as the board and as the float model find them."""
