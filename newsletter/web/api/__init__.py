"""The JSON API: what it takes and answers (OpenAPI 3.1), strict reading, and problems as RFC 9457 writes them."""
