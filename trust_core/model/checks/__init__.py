"""Checks before an audit: preprocessing, class convention, BatchNorm, predictions."""
