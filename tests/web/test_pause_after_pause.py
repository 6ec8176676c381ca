"""A reader who pauses again on the page before cron has looked: the first pause still lets pass what it should."""

from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from pages import path, press, read, subscriptions
from post import publish, send_digest

from factories import make_reader, text_of
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts


def test_a_pause_may_follow_one_that_let_everything_pass_at_once(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    reader = make_reader(parts, "salma.bennani@gmail.com")

    def save(**changes: str) -> None:
        link = path(parts.links.preferences(reader.subscriber_id, at=clock.now()))
        given = {f"{name}.hebdo": value for name, value in changes.items()}
        assert press(client, read(client.get(link)), given).status_code == 200

    save(pause="2026-11-17", after="afresh")
    publish(parts, "in-the-first")
    clock.advance(timedelta(days=2))
    publish(parts, "between")
    save(pause="2026-11-19", after="missed")
    (paused,) = subscriptions(parts)
    assert (paused.catches_up, paused.watermark) == (True, 1)
    publish(parts, "in-the-second")
    clock.advance(timedelta(days=-2))
    (mail,) = send_digest(parts, clock)
    assert "hebdo/between" in text_of(mail)
    assert "hebdo/in-the-second" in text_of(mail)
    assert "in-the-first" not in text_of(mail)
