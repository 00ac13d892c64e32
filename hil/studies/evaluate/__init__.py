"""How well a network does on annotated photographs: the board's integers beside the float model."""
