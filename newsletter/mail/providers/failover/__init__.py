"""Several ways to send mail, one taking over where another stops."""
