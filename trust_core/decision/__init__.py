"""Fourth room, decision: from scores to what is flagged, and at which price."""
