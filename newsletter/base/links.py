"""Every link that leaves in a mail or stands on a page is made here, and every token in one is read here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.base.tokens import NUMBER_BYTES, Tokens, base32

CONFIRM_FOR = timedelta(days=7)
PREFERENCES_FOR = timedelta(hours=1)
UNDO_FOR = timedelta(minutes=30)
CHANGE_ADDRESS_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SubscriptionRef:
    """Which subscription a link is about, and in which batch it was mailed (0: in none)."""

    subscription_id: int
    batch_id: int


class Links:
    """Makes and reads the links of one installation."""

    def __init__(self, *, base_url: str, keys: Sequence[str]) -> None:
        self.base_url = base_url.rstrip("/")
        self._confirm = Tokens(keys, purpose="confirm", numbers=1, timed=True)
        self._never = Tokens(keys, purpose="never", numbers=1)
        self._unsubscribe = Tokens(keys, purpose="unsubscribe", numbers=2)
        self._manage = Tokens(keys, purpose="manage", numbers=2)
        self._preferences = Tokens(keys, purpose="preferences", numbers=1, timed=True)
        self._bounce = Tokens(keys, purpose="bounce", numbers=1)
        self._undo = Tokens(keys, purpose="undo", numbers=1, timed=True)
        self._topic = Tokens(keys, purpose="topic", numbers=2)
        self._change_address = Tokens(keys, purpose="change_address", numbers=1, timed=True)
        self._page = Tokens(keys, purpose="page", numbers=1, timed=True)
        self.confirm_width = self._confirm.width
        self.never_width = self._never.width
        self.preferences_width = self._preferences.width
        self.unsubscribe_width = self._unsubscribe.width
        self.manage_width = self._manage.width
        self.bounce_width = self._bounce.width
        self.change_address_width = self._change_address.width
        self._second = self._unsubscribe.whole_width
        self._third = self._second + self._manage.whole_width

    # Pages without a token

    def home(self, language: str) -> str:
        return f"{self.base_url}/{language}/"

    def archive(self, newsletter: str, language: str) -> str:
        return f"{self.base_url}/archive/{newsletter}/{language}/"

    def archived_issue(self, newsletter: str, language: str, issue_id: int) -> str:
        return f"{self.base_url}/archive/{newsletter}/{language}/{issue_id}"

    # The second step of the double opt-in: good for seven days

    def confirm_token(self, request_id: int, *, at: datetime) -> str:
        return self._confirm.make(request_id, at=at)

    def confirm_with(self, token: str) -> str:
        return f"{self.base_url}/confirm/{token}"

    def confirm(self, request_id: int, *, at: datetime) -> str:
        return self.confirm_with(self.confirm_token(request_id, at=at))

    def read_confirm(self, token: str, *, now: datetime) -> int:
        """Return the request that this link confirms.

        :raises InvalidToken: if the link is not ours
        :raises ExpiredToken: if it is too old
        """
        return self._confirm.read(token, now=now, max_age=CONFIRM_FOR).numbers[0]

    def read_old_confirm(self, token: str) -> int:
        """Return the request of a link of any age, to answer kindly in its language.

        :raises InvalidToken: if the link is not ours
        """
        return self._confirm.read(token).numbers[0]

    # "Never write to me again": never expires

    def never_token(self, request_id: int) -> str:
        return self._never.make(request_id)

    def never_with(self, token: str) -> str:
        return f"{self.base_url}/never/{token}"

    def never(self, request_id: int) -> str:
        return self.never_with(self.never_token(request_id))

    def read_never(self, token: str) -> int:
        """Return the request whose mail this link stood in.

        :raises InvalidToken: if the link is not ours
        """
        return self._never.read(token).numbers[0]

    # Leaving: never expires (RFC 8058 wants an https address and a mailbox)

    def unsubscribe_token(self, subscription_id: int, batch_id: int) -> str:
        return self._unsubscribe.make(subscription_id, batch_id)

    def unsubscribe(self, token: str) -> str:
        return f"{self.base_url}/u/{token}"

    def unsubscribe_mailbox(self, token: str, domain: str) -> str:
        return f"unsub+{token}@{domain}"

    def read_unsubscribe(self, token: str) -> SubscriptionRef:
        """Return whose subscription this link ends.

        :raises InvalidToken: if the link is not ours
        """
        return SubscriptionRef(*self._unsubscribe.read(token).numbers)

    # Undoing what the unsubscribe page did: for half an hour

    def undo_token(self, subscription_id: int, *, at: datetime) -> str:
        return self._undo.make(subscription_id, at=at)

    def read_undo(self, token: str, *, now: datetime) -> int:
        """Return the ended subscription that somebody wishes back.

        :raises InvalidToken: if it is not ours
        :raises ExpiredToken: if it is older than half an hour
        """
        return self._undo.read(token, now=now, max_age=UNDO_FOR).numbers[0]

    def read_old_undo(self, token: str) -> int:
        """Return the ended subscription of a token of any age, to answer kindly in its language.

        :raises InvalidToken: if it is not ours
        """
        return self._undo.read(token).numbers[0]

    # Leaving one topic: never expires

    def topic_token(self, subscription_id: int, topic_id: int) -> str:
        return self._topic.make(subscription_id, topic_id)

    def read_topic(self, token: str) -> tuple[int, int]:
        """Return which topic (the second number) of which subscription (the first) this link leaves.

        :raises InvalidToken: if the link is not ours
        """
        subscription_id, topic_id = self._topic.read(token).numbers
        return subscription_id, topic_id

    # Choosing: the link in a digest never expires and only asks for a link that does

    def manage_token(self, subscription_id: int, batch_id: int) -> str:
        return self._manage.make(subscription_id, batch_id)

    def manage(self, token: str) -> str:
        return f"{self.base_url}/p/{token}"

    def read_manage(self, token: str) -> SubscriptionRef:
        """Return for whose subscription a preferences link is asked.

        :raises InvalidToken: if the link is not ours
        """
        return SubscriptionRef(*self._manage.read(token).numbers)

    def preferences_token(self, subscriber_id: int, *, at: datetime) -> str:
        return self._preferences.make(subscriber_id, at=at)

    def preferences_with(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}"

    def preferences(self, subscriber_id: int, *, at: datetime) -> str:
        return self.preferences_with(self.preferences_token(subscriber_id, at=at))

    def read_preferences(self, token: str, *, now: datetime) -> int:
        """Return the subscriber whose preferences this link opens.

        :raises InvalidToken: if the link is not ours
        :raises ExpiredToken: if it is older than an hour
        """
        return self._preferences.read(token, now=now, max_age=PREFERENCES_FOR).numbers[0]

    def read_old_preferences(self, token: str) -> int:
        """Return the subscriber of a link of any age, to answer kindly in their language.

        :raises InvalidToken: if the link is not ours
        """
        return self._preferences.read(token).numbers[0]

    def read_preferences_moment(self, token: str) -> datetime:
        """Return when this link was made, in whole seconds.

        :raises InvalidToken: if the link is not ours
        """
        made_at = self._preferences.read(token).made_at
        assert made_at is not None  # noqa: S101 (timed)
        return made_at

    # A new address, confirmed from its own mailbox: good for a day

    def change_address_token(self, request_id: int, *, at: datetime) -> str:
        return self._change_address.make(request_id, at=at)

    def change_address_with(self, token: str) -> str:
        return f"{self.base_url}/address/{token}"

    def read_change_address(self, token: str, *, now: datetime) -> int:
        """Return the request whose new address this link confirms.

        :raises InvalidToken: if the link is not ours
        :raises ExpiredToken: if it is older than a day
        """
        return self._change_address.read(token, now=now, max_age=CHANGE_ADDRESS_FOR).numbers[0]

    def read_old_change_address(self, token: str) -> int:
        """Return the request of a link of any age, to answer kindly in its language.

        :raises InvalidToken: if the link is not ours
        """
        return self._change_address.read(token).numbers[0]

    # When a form was shown: whoever sends it back at once is no person

    def page_token(self, *, at: datetime) -> str:
        return self._page.make(0, at=at)

    def read_page(self, token: str) -> datetime:
        """Return when the page was made that this token stood on.

        :raises InvalidToken: if it is not ours
        """
        made_at = self._page.read(token).made_at
        assert made_at is not None  # noqa: S101 (timed)
        return made_at

    # The return path of a delivery

    def bounce_token(self, delivery_id: int) -> str:
        return self._bounce.make(delivery_id)

    def bounce_mailbox(self, token: str, domain: str) -> str:
        return f"b+{token}@{domain}"

    def digest_tokens(self, delivery_id: int, subscription_id: int, batch_id: int) -> tuple[bytes, bytes, bytes]:
        """Return what `unsubscribe_token`, `manage_token` and `bounce_token` would, at less than half the cost."""
        whose = subscription_id.to_bytes(NUMBER_BYTES) + batch_id.to_bytes(NUMBER_BYTES)
        delivery = delivery_id.to_bytes(NUMBER_BYTES)
        letters = base32(self._unsubscribe.sealed(whose) + self._manage.sealed(whose) + self._bounce.sealed(delivery))
        second, third = self._second, self._third
        return (
            letters[: self.unsubscribe_width],
            letters[second : second + self.manage_width],
            letters[third : third + self.bounce_width],
        )

    def read_bounce(self, token: str) -> int:
        """Return the delivery that came back.

        :raises InvalidToken: if the token is not ours
        """
        return self._bounce.read(token).numbers[0]
