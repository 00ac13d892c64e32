"""How well a network does on annotated photographs, as float and as integers."""
