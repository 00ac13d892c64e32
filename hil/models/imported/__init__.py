"""Networks that others have quantised: read from their files, their own scales and zero points."""
