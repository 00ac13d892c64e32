"""How a network was quantised, and what each choice buys."""
