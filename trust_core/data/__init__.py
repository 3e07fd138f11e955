"""Data set → sample table: layouts, tables, masks, decoding, archives, groups, roles."""
