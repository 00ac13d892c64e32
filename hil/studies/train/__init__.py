"""Training: a dataset and a network become a checkpoint. `docs/training.md` shows it."""
