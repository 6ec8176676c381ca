"""The routes of the API: signing up, what there is to sign up to, and the document that tells all this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, json, make_response, request
from flask.typing import ResponseReturnValue

from newsletter.base.languages import LANGUAGES
from newsletter.newsletters import queries
from newsletter.newsletters.models import Newsletter
from newsletter.web.api.checking import Mistake
from newsletter.web.api.document import document
from newsletter.web.api.problems import InvalidBody
from newsletter.web.api.reading import read_object
from newsletter.web.api.wishing import sign_up_in
from newsletter.web.asking import ask
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.rhythm import in_words
from newsletter.web.speech import Said, gettext, said, speak, spoken

ACCESS = "public"
KEPT_FOR = 300  # seconds
blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/subscriptions")
@evenly
def subscribe() -> ResponseReturnValue:
    body = read_object()
    speak(str(body.get("page_language")))
    with parts().database.work() as work:
        sign_up = sign_up_in(body, queries.all_newsletters(work))
        ask(work, sign_up, proof=body.get("proof"), page_token=None, trap="")
    return _answer(
        {
            "title": gettext("Look in your mail"),
            "text": gettext(
                "A mail is on its way to the address that was given. Press the button in it: only then are you "
                "subscribed. If you are subscribed already, the mail says so."
            ),
            "language": spoken().code,
        },
        status=202,
    )


@blueprint.get("/newsletters")
def newsletters() -> ResponseReturnValue:
    _speak_as_asked(request.args.getlist("language"))
    with parts().database.reading() as work:
        found = [_told(newsletter) for newsletter in queries.all_newsletters(work)]
    return _kept({"language": spoken().code, "newsletters": found})


@blueprint.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    return _kept(document(base_url=parts().links.base_url))


def _speak_as_asked(languages: Sequence[str]) -> None:
    """Answer in the language that the address asks for, if it does.

    :raises InvalidBody: if it is none of ours, or there are several
    """
    if not languages:
        return
    if len(languages) > 1 or languages[0] not in LANGUAGES:
        detail = gettext("This is none of: %(choices)s.", choices=", ".join(LANGUAGES))
        raise InvalidBody(code="invalid_parameter", mistakes=[Mistake(detail, parameter="language")])
    speak(languages[0])


def _told(newsletter: Newsletter) -> dict[str, Any]:
    """Return what a newsletter tells of itself, as the schema Newsletter describes it."""
    promise, language = said(newsletter.promises), spoken().code
    archived = language if language in newsletter.languages else newsletter.languages[0]
    return {
        "slug": newsletter.slug,
        "name": _text(said(newsletter.names)),
        "promise": _text(promise) if promise.text else None,
        "institution": _text(said(newsletter.institution)),
        "languages": newsletter.languages,
        "topics": [{"slug": topic.slug, "name": _text(said(topic.names))} for topic in newsletter.topics],
        "frequencies": [{"frequency": rhythm.frequency, "words": in_words(rhythm)} for rhythm in newsletter.rhythms],
        "cndp_reference": newsletter.cndp_reference,
        "contact": newsletter.owner,
        "sign_up_page": f"{parts().links.home(language)}?newsletters={newsletter.slug}",
        "archive": parts().links.archive(newsletter.slug, archived),
    }


def _text(words: Said) -> dict[str, str]:
    return {"text": words.text, "language": words.language, "direction": words.direction}


def _answer(told: Mapping[str, Any], *, status: int = 200) -> Response:
    answer = make_response(json.dumps(told, ensure_ascii=False), status)
    answer.mimetype = "application/json"
    answer.content_language.add(spoken().code)
    return answer


def _kept(told: Mapping[str, Any]) -> Response:
    """Answer with what may be kept for a while, and asked again by its tag."""
    answer = _answer(told)
    answer.cache_control.public = True
    answer.cache_control.max_age = KEPT_FOR
    answer.add_etag()
    answer.make_conditional(request)
    return answer
