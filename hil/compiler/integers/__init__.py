"""Between reals and integers: what the operators share when they are quantised and computed."""
