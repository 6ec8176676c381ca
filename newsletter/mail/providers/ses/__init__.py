"""Mail through Amazon SES, which takes whole messages."""
