"""Mail through Brevo's API for single mails."""
