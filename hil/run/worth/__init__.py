"""What a network is worth on annotated photographs, float beside integers."""
