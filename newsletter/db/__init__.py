"""The database floor: one engine, units of work with their moment, column types, migrations."""
