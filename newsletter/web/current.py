"""The parts of the application that answers now."""

from __future__ import annotations

from typing import cast

from flask import current_app

from newsletter.bootstrap import Parts

KEY = "newsletter.parts"


def parts() -> Parts:
    """Return the parts that this application was created with."""
    return cast("Parts", current_app.extensions[KEY])
