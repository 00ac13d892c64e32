"""Where a model's cycles go."""
