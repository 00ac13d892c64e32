"""The tests that run on a board: `pytest hil/ --board=stm32f439`."""
