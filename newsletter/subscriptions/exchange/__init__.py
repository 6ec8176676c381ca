"""Exchange: subscriptions written as CSV, and read from our own, listmonk's, Mailchimp's and plain files."""
