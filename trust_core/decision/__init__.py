"""From scores to a decision: indicators, trade-off curves, verdict, certificate, costs."""
