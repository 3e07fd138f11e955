"""Home: what an audit found, what was audited, and all audits."""
