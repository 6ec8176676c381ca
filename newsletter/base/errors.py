"""The five families of errors; each door translates a family once (HTTP status, exit code)."""

from __future__ import annotations


class NewsletterError(Exception):
    """An error with a stable code and a message that is safe to show to whoever caused it."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidInput(NewsletterError):
    """What was given cannot be used as it is (HTTP 400, exit 65)."""

    code = "invalid_input"


class NotFound(NewsletterError):
    """What was named does not exist (HTTP 404, exit 65)."""

    code = "not_found"


class Conflict(NewsletterError):
    """The present state does not allow this step (HTTP 409, exit 65)."""

    code = "conflict"


class Unavailable(NewsletterError):
    """Something outside does not answer; trying later may help (HTTP 503, exit 75)."""

    code = "unavailable"
    retry_after = 60  # seconds


class TooMany(Unavailable):
    """More was asked from one place than an hour takes; later it will be taken (HTTP 429)."""

    code = "too_many"
    retry_after = 3600


class ConfigError(NewsletterError):
    """The set-up must be mended by the operator (HTTP 503, exit 78)."""

    code = "config"


class InvalidToken(NotFound):
    """A link that this server did not make."""

    code = "invalid_token"


class ExpiredToken(InvalidInput):
    """A link that this server made, but too long ago (HTTP 410)."""

    code = "expired_token"
