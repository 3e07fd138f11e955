"""Training of multi-task networks: network, data, steps, losses, checkpoints."""
