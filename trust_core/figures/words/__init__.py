"""What a person reads of an audit: numbers, verdicts and proofs as sentences and HTML."""
