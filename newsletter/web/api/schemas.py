"""What the API takes and answers, as JSON Schema: bodies are held to it, and the document shows it."""

from __future__ import annotations

from typing import Any

from newsletter.base.addresses import MAXIMUM_LENGTH
from newsletter.base.languages import LANGUAGES
from newsletter.newsletters.models import Frequency
from newsletter.subscriptions.proofs import LONGEST_PROOF
from newsletter.web.api.checking import MOST_MISTAKES

SHORTEST_CONSENT, LONGEST_CONSENT = 20, 2000
MOST_NEWSLETTERS, MOST_TOPICS = 50, 100
NO_CONTROLS = r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$"
Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """Return every schema by its name; the languages are those that this installation speaks."""
    return {**_small(), "SignUp": _sign_up(), **_answers(), "Problem": _problem()}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema, *, most: int | None = None, least: int = 1) -> Schema:
    return {"type": "array", "items": items, "minItems": least} | ({} if most is None else {"maxItems": most})


def closed(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return the schema of an object that has these members and no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def _small() -> dict[str, Schema]:
    return {
        "Slug": {
            "type": "string",
            "description": "The name of a newsletter or of a topic in addresses and programs.",
            "minLength": 2,
            "maxLength": 40,
            "pattern": "^[a-z][a-z0-9-]*[a-z0-9]$",
        },
        "Language": {"type": "string", "description": "A language that the server speaks.", "enum": list(LANGUAGES)},
        "Frequency": {
            "type": "string",
            "description": "How often a newsletter comes; “immediate” is as soon as there is news.",
            "enum": [str(frequency) for frequency in Frequency],
        },
        "Direction": {"type": "string", "enum": ["ltr", "rtl"]},
        "Text": closed(
            {"text": {"type": "string"}, "language": {"type": "string"}, "direction": ref("Direction")},
            description="A text and the language it is in, which is not the one asked for where that has none.",
        ),
    }


def _sign_up() -> Schema:
    properties = {
        "address": {
            "type": "string",
            "format": "idn-email",
            "description": "The person’s mail address.",
            "minLength": 1,
            "maxLength": MAXIMUM_LENGTH,
        },
        "newsletters": listed(ref("Slug"), most=MOST_NEWSLETTERS),
        "languages": listed(ref("Language"), most=len(LANGUAGES))
        | {
            "description": "In which languages to read, the preferred one first; without it: page_language. "
            "Each newsletter comes in those that it has."
        },
        "frequency": ref("Frequency")
        | {
            "description": "How often. A newsletter that does not come so comes as it does, if another one chosen "
            "does; without it: each as it comes first."
        },
        "topics": {
            "type": "object",
            "description": "The topics chosen, by newsletter; a newsletter that is not named: all its topics.",
            "additionalProperties": listed(ref("Slug"), most=MOST_TOPICS),
            "maxProperties": MOST_NEWSLETTERS,
        },
        "page_language": ref("Language")
        | {"description": "The language of the page that asks; the answer and the mail are in it."},
        "consent_text": {
            "type": "string",
            "description": "What the person was shown beside the button, word for word. Kept as evidence.",
            "minLength": SHORTEST_CONSENT,
            "maxLength": LONGEST_CONSENT,
            "pattern": NO_CONTROLS,
        },
        "proof": {
            "type": "string",
            "description": "The solution of /api/v1/challenge, where an earlier answer asked for one.",
            "minLength": 1,
            "maxLength": LONGEST_PROOF,
            "pattern": "^[A-Za-z0-9+/=]+$",
        },
    }
    return closed(properties, optional=("languages", "frequency", "topics", "proof"))


def _answers() -> dict[str, Schema]:
    text = ref("Text")
    rhythm = closed({"frequency": ref("Frequency"), "words": {"type": "string"}})
    newsletter = {
        "slug": ref("Slug"),
        "name": text,
        "promise": {"oneOf": [text, {"type": "null"}]},
        "institution": text,
        "languages": listed(ref("Language")),
        "topics": listed(closed({"slug": ref("Slug"), "name": text})),
        "frequencies": listed(rhythm),
        "cndp_reference": {"type": "string"},
        "contact": {"type": "string", "format": "idn-email"},
        "sign_up_page": {"type": "string", "format": "uri"},
        "archive": {"type": "string", "format": "uri"},
    }
    return {
        "Accepted": closed(
            {"title": {"type": "string"}, "text": {"type": "string"}, "language": ref("Language")},
            description="The same for every address: whether it is known is told by mail only.",
        ),
        "Challenge": _challenge(),
        "Newsletters": closed(
            {"language": ref("Language"), "newsletters": listed(ref("Newsletter"), least=0)},
        ),
        "Newsletter": closed(newsletter),
    }


def _challenge() -> Schema:
    """A challenge as ALTCHA's clients know it."""
    hexadecimal = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    properties: dict[str, Schema] = {
        "needed": {
            "type": "boolean",
            "description": "Without a proof of work the mail would leave some minutes later.",
        },
        "algorithm": {"type": "string", "enum": ["SHA-256"]},
        "challenge": hexadecimal | {"description": "SHA-256 of the salt followed by the number to find."},
        "maxNumber": {"type": "integer", "minimum": 1, "description": "The number is at most this."},
        "salt": {"type": "string"},
        "signature": hexadecimal,
    }
    solving = ("algorithm", "challenge", "maxNumber", "salt", "signature")
    return closed(properties, optional=solving, dependentRequired={"challenge": list(solving)})


def _problem() -> Schema:
    mistake = closed(
        {
            "pointer": {
                "type": "string",
                "description": "Where in the body: a JSON pointer (RFC 6901).",
                "pattern": "^#",
            },
            "parameter": {"type": "string", "description": "Which parameter of the address."},
            "detail": {"type": "string"},
        },
        optional=("pointer", "parameter"),
    )
    return closed(
        {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "errors": listed(mistake, most=MOST_MISTAKES),
        },
        optional=("errors",),
        description="Problem details (RFC 9457), in the language of the page that asks, else of Accept-Language.",
    )
