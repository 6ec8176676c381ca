"""Mail through Postmark's API, many mails in a request."""
