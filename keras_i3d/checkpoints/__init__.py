"""How foreign weights get in: found, fetched, verified, matched by name and shape, copied."""
