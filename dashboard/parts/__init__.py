"""Parts: the grid, and one part with its heatmaps."""
