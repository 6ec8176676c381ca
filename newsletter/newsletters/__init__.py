"""Newsletters: what one can subscribe to, its topics and rhythms, and the one sequence counter."""
