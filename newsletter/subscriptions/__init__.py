"""Subscriptions: a person's wish for one newsletter, from the request over the confirmation to the leaving."""
