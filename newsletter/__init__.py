"""A newsletter server that a public institution can trust."""
