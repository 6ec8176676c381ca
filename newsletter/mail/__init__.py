"""The mail tools: bytes, headers and servers; they know nothing of newsletters, deliveries, templates or databases."""
