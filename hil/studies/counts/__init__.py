"""What a network costs by its structure, beside the paper's figures."""
