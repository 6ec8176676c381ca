"""A Flask view that does nothing: what a form costs before anything of ours."""

from __future__ import annotations

from flask import Flask, request


def app() -> Flask:
    """Build an application that takes a form and answers."""
    bare = Flask("bare")

    @bare.post("/bare")
    def answer() -> str:
        return f"<!doctype html><title>{len(request.form)}</title>"

    return bare
