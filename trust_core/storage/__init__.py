"""An audit on disk: its files, columns, shards; the workspace of audits; a memory cache."""
