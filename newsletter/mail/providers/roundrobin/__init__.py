"""Several ways to send mail that share the readers between them."""
