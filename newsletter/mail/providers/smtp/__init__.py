"""Mail through an SMTP relay, with a verdict for everything that a relay can do (RFC 5321)."""
