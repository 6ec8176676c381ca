"""Subscribers: a person, known by one address, and the suppressions that close addresses."""
