"""What an audit ends in: the guard on the line, the check for drift, the report."""
