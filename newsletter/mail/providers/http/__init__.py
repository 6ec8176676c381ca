"""Mail through a provider's HTTP API: the part that all of them share."""
