"""Which architecture a state dict belongs to, among all that are known."""
