"""Issues: one run for one slot, from the cut over the editions to the books."""
