"""Generated demo data: textured surfaces with small defects and exact masks."""
