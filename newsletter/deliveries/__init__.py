"""Deliveries: the outbox and the ledger; knows batches and lanes, not issues."""
