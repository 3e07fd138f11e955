"""The page of parts: the grid, one part opened, its heatmaps, evidence and masks."""
