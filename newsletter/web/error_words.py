"""What an error page says: what happened, that nothing was lost, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from newsletter.web.speech import N_


class Words(NamedTuple):
    """What happened, and what to do."""

    title: str
    text: str


BY_CODE = {
    "expired_token": Words(
        N_("This link has expired"),
        N_(
            "A link to confirm is good for seven days. If you have not used it, nothing was changed: "
            "subscribe once more, and a new one comes by mail."
        ),
    ),
    "nothing_to_confirm": Words(
        N_("There is nothing left to confirm"),
        N_(
            "What this mail was about was not confirmed in time, or was taken back. If you still wish to read "
            "us, subscribe once more."
        ),
    ),
    "invalid_token": Words(
        N_("This link is not complete"),
        N_(
            "A part of it may have been lost on its way, or what it was about is no longer kept. Nothing was "
            "changed. Go back to the mail and press the link there, or copy it whole."
        ),
    ),
    "unknown_newsletter": Words(
        N_("We have no such newsletter"),
        N_("It may have been renamed, or may not come in this language. Nothing was changed."),
    ),
    "unknown_topic": Words(
        N_("This topic is no longer there"),
        N_(
            "The newsletter has changed since you opened the page. Nothing was saved: open the page anew and "
            "choose once more."
        ),
    ),
    "unknown_language": Words(
        N_("The newsletter does not come in this language"),
        N_("Nothing was saved: open the page anew and choose once more."),
    ),
    "unknown_frequency": Words(
        N_("The newsletter does not come this often"),
        N_("Nothing was saved: open the page anew and choose once more."),
    ),
}
BY_STATUS = {
    400: Words(
        N_("We could not read what was sent"),
        N_("Nothing was changed. Go back, look at what you entered and send it once more."),
    ),
    404: Words(
        N_("There is no such page"),
        N_("The address may be incomplete, or the page may have moved. Nothing was lost."),
    ),
    405: Words(
        N_("This page is reached another way"),
        N_("Nothing was changed. Go back and use the button or the link on the page."),
    ),
    409: Words(
        N_("Something changed in the meantime"),
        N_(
            "What you asked for is no longer possible as things stand. Nothing was changed: open the page "
            "anew and look."
        ),
    ),
    413: Words(
        N_("That was too much at once"),
        N_(
            "What was sent is larger than this form can be. Nothing was changed: go back and send only what "
            "the form asks for."
        ),
    ),
    429: Words(
        N_("Too many sign-ups come from your network just now"),
        N_(
            "Many people may share it. Nothing was lost and nobody is shut out: wait an hour and send the form "
            "once more, or use another connection."
        ),
    ),
    500: Words(
        N_("Something went wrong on our side"),
        N_("It is not your doing, and what was saved before is safe. Please try again later."),
    ),
    503: Words(
        N_("We cannot answer just now"),
        N_("It is not your doing, and what was saved before is safe. Please try again in a few minutes."),
    ),
}
