"""The door for operators and cron: parse, one call, answer in words, tables or JSON."""
