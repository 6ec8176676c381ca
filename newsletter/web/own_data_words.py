"""How a page writes what is kept of a person: what they did, which mails went out, what became of them."""

from __future__ import annotations

from newsletter.deliveries.models import DeliveryState
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.models import ConsentKind, RequestKind
from newsletter.web.speech import N_, gettext

_CONSENTS = {
    ConsentKind.REQUESTED: N_("You asked to subscribe."),
    ConsentKind.CONFIRMED: N_("You confirmed."),
    ConsentKind.CHANGED: N_("You changed your choices."),
    ConsentKind.LEFT: N_("You left."),
    ConsentKind.UNDONE: N_("You took your leaving back."),
    ConsentKind.IMPORTED: N_("Your consent was taken over from another system."),
    ConsentKind.ADDRESS_CHANGED: N_("You gave a new address."),
}
_MAILS = {
    RequestKind.CONFIRMATION: N_("A link to confirm"),
    RequestKind.ALREADY_SUBSCRIBED: N_("A word that you are subscribed already"),
    RequestKind.PREFERENCES_LINK: N_("A link to your preferences"),
    RequestKind.CHANGE_ADDRESS: N_("A link to confirm a new address"),
    RequestKind.ADDRESS_CHANGED: N_("A word that your address was changed"),
}
_OUTCOMES = {
    DeliveryState.PENDING: N_("on its way"),
    DeliveryState.SENDING: N_("on its way"),
    DeliveryState.DEFERRED: N_("on its way"),
    DeliveryState.ACCEPTED: N_("taken by your mail server"),
    DeliveryState.FAILED: N_("could not be delivered"),
    DeliveryState.SKIPPED: N_("not sent"),
    DeliveryState.UNCERTAIN: N_("may have arrived"),
    DeliveryState.CANCELLED: N_("not sent"),
}
_CLOSINGS = {
    SuppressionReason.ERASURE: N_("Your address was erased once: no import may bring it back."),
    SuppressionReason.HARD_BOUNCE: N_("Mails to your address came back: nothing but a confirmation is sent there."),
    SuppressionReason.STAFF: N_("We closed your address: nothing but a confirmation is sent there."),
    SuppressionReason.COMPLAINT: N_("A mail of ours was reported as unwanted: nothing more is sent to your address."),
    SuppressionReason.NEVER: N_("You asked us never to write to you again: nothing is sent to your address."),
}


def consent_in_words(kind: str) -> str:
    """Write what a person did."""
    return gettext(_CONSENTS[ConsentKind(kind)])


def mail_in_words(kind: str) -> str:
    """Write what a mail was that is no issue; `kind` is its batch's."""
    return gettext(_MAILS[RequestKind(kind)])


def outcome_in_words(state: str) -> str:
    """Write what became of a mail."""
    return gettext(_OUTCOMES[DeliveryState(state)])


def closing_in_words(reason: str) -> str:
    """Write why an address is closed, and for what."""
    return gettext(_CLOSINGS[SuppressionReason(reason)])
