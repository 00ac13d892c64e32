"""Questions asked of physical boards: what is there, is it well, how often did it fail."""
