"""What each pooling of the paper costs on a board."""
