"""The detector: loading, recognition, preprocessing, and how its layers are read."""
