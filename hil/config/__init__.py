"""What TOML files say: boards and scenarios."""
