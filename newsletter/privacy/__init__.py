"""Privacy: what the law asks for every person: proof of consent, access, erasure, and forgetting in time."""
