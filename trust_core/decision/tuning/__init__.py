"""Choice of layer, maps, mask and strength on `tune`, and how far a verdict depends on it."""
