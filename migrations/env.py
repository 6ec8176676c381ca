"""Runs the migrations on the connection that newsletter.db.migrations hands over."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=connection.dialect.name == "sqlite",
    user_module_prefix="schema.",
)
with context.begin_transaction():
    context.run_migrations()
