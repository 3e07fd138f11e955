"""Indicators: one number a passed image; registry, stored ones, feature distances."""
