"""Trade-off: what a threshold catches and what it costs."""
