"""How C and assembly are written: text, and how many bytes it becomes."""
