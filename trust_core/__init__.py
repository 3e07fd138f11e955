"""Audit a binary defect classifier: data → model → explanation → decision."""
