"""The ground floor: addresses, clock, config, errors, languages, links, tokens; it knows nothing of ours."""
