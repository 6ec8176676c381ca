"""The parts of a path: what cannot name anything of ours never reaches the database."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, Map

from newsletter.base.languages import LANGUAGES


class SpokenLanguage(BaseConverter):
    """One of the languages that we speak when the application is built."""

    def __init__(self, map: Map) -> None:  # noqa: A002 (Werkzeug's own name)
        super().__init__(map)
        self.regex = "|".join(LANGUAGES)


class Slug(BaseConverter):
    """The name of a newsletter."""

    regex = "[a-z][a-z0-9-]*"


class Number(BaseConverter):
    """The number of a row: no more digits than one can have."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)
