"""Renode as a target: an independent implementation of the chip."""
