"""Mail through Mailgun's API, which takes whole messages."""
