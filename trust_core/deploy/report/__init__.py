"""The report of an audit: one HTML file that can be signed, with its content, page and seal."""
