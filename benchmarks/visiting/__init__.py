"""Visitors of the public site, the site they visit, and a bare one beside it."""
