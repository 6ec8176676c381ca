"""The ground floor: addresses, clock, config, errors, languages, links, tokens; no Flask, no SQLAlchemy, nothing of ours."""
