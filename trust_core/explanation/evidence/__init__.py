"""Evidence for and against in pixel space (arXiv 1801.01693), in several forms."""
