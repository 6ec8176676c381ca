"""What every way of signing up calls, page, embedded form and API: weighs it, spends its proof, and asks by mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from newsletter.base.addresses import read_address
from newsletter.base.errors import InvalidToken
from newsletter.db.database import Work
from newsletter.subscriptions import actions, limits, proofs
from newsletter.subscriptions.actions import SignUp
from newsletter.subscriptions.limits import Attempt, Limits
from newsletter.subscriptions.proofs import Proofs
from newsletter.web.current import parts
from newsletter.web.network import client_network

ACCESS = "public"
blueprint = Blueprint("asking", __name__)

READ_AT_LEAST = timedelta(seconds=2)  # nobody fills a form in faster
FORM_GOOD_FOR = timedelta(days=1)
WEIGHT, WEIGHT_WITHOUT_PAGE, WEIGHT_IN_DOUBT = 1, 2, 3


def ask(work: Work, sign_up: SignUp, *, proof: str | None, page_token: str | None, trap: str) -> None:
    """Take the first step of the double opt-in for a request from outside; its network is taken from the request.

    `proof` is a solved challenge in base64, if one came; `page_token` the moment signed into the page's form ("" if it
    was lost), None where no page of ours was shown; `trap` what stood in the field that people do not see. The answer
    to the person is the same whatever happens here.

    :raises InvalidInput: if the address, a topic, a language or the frequency cannot be used
    :raises NotFound: if there is no such newsletter
    :raises TooMany: if the network did far too much in this hour; nothing is written
    """
    attempt = _attempt(work, sign_up, proof=proof, page_token=page_token, trap=trap)
    wait = limits.weigh(work, attempt, limits=limits_set())
    if not trap:
        from_where = replace(sign_up, network=attempt.network)
        actions.request_subscription(work, sign_up=from_where, address_key=parts().address_key, wait=wait)
    limits.count(work, attempt, limits=limits_set())


@blueprint.get("/api/v1/challenge")
def challenge() -> ResponseReturnValue:
    """Answer whether a sign-up needs a proof of work just now, and if so with the challenge. Keeps nothing."""
    attempt = Attempt(client_network(), request.args.get("domain", "").lower(), weight=WEIGHT_WITHOUT_PAGE)
    with parts().database.reading() as work:
        needed = limits.needs_proof(work, attempt, limits=limits_set())
        made = Proofs(parts().settings.keys).challenge(now=work.now) if needed else {}
    answer: Response = jsonify({"needed": needed, **made})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def limits_set() -> Limits:
    """Return the limits that the operator set."""
    settings = parts().settings
    return Limits(
        per_network=settings.sign_ups_per_network,
        per_domain=settings.sign_ups_per_domain,
        in_all=settings.sign_ups_in_all,
        key=parts().address_key,
    )


def _attempt(work: Work, sign_up: SignUp, *, proof: str | None, page_token: str | None, trap: str) -> Attempt:
    read = Proofs(parts().settings.keys).read(proof, now=work.now) if proof else None
    in_doubt = bool(trap) or (page_token is not None and not is_filled_in_by_hand(page_token, now=work.now))
    return Attempt(
        network=client_network(),
        domain=read_address(sign_up.address).key.rpartition("@")[2],
        weight=WEIGHT_IN_DOUBT if in_doubt else WEIGHT_WITHOUT_PAGE if page_token is None else WEIGHT,
        is_suspect=in_doubt,
        is_proven=read is not None and proofs.spend(work, read),
    )


def is_filled_in_by_hand(page_token: str, *, now: datetime) -> bool:
    """Say whether a form was shown by us, not so long ago, and for as long as a person takes."""
    try:
        shown_at = parts().links.read_page(page_token)
    except InvalidToken:
        return False
    return READ_AT_LEAST <= now - shown_at <= FORM_GOOD_FOR
