"""What the benchmark of sending is made of: a planned issue, servers that take it, our client, and others beside it."""
