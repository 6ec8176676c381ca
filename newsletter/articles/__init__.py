"""Articles: where they come from, what they say, and from when on they can be given."""
