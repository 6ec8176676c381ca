"""Mail written where a person can read it, for a first look."""
