"""Plotly figures and picture overlays from plain data."""
