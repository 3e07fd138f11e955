"""How well masks mark the defects (arXiv 2510.13226): pixel counts and metrics."""
