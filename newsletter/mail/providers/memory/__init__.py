"""Mail that stays in this process: for tests and trials."""
