"""The examples in the document; a test sends them and holds them to the schemas."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

SIGN_UP: Example = {
    "address": "salma@example.org",
    "newsletters": ["hebdo"],
    "page_language": "fr",
    "consent_text": "En vous abonnant, vous acceptez de recevoir les lettres choisies.",
}
SIGN_UP_WITH_ALL: Example = {
    "address": "youssef@example.org",
    "newsletters": ["hebdo"],
    "languages": ["ar", "fr"],
    "frequency": "weekly",
    "topics": {"hebdo": ["services"]},
    "page_language": "ar",
    "consent_text": "بالاشتراك توافقون على تلقي النشرات المختارة.",
    "proof": "eyJhbGdvcml0aG0iOiJTSEEtMjU2In0=",
}
ACCEPTED: Example = {
    "title": "Regardez dans votre courrier",
    "text": "Un message part vers l’adresse donnée. Appuyez sur son bouton : alors seulement vous êtes abonné.",
    "language": "fr",
}
WRONG: Example = {
    "type": "https://lettre.example.ma/api/v1/openapi.json#/components/x-problems/invalid_body",
    "title": "La demande ne peut être prise telle quelle",
    "status": 400,
    "detail": "Rien n’a été changé. Ce qui ne va pas figure dans « errors », chaque fois avec sa place.",
    "errors": [{"pointer": "#/address", "detail": "Cette adresse n’est pas complète."}],
}
CHALLENGE: Example = {
    "needed": True,
    "algorithm": "SHA-256",
    "challenge": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "maxNumber": 20000,
    "salt": "c0ffee?expires=1795426800",
    "signature": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
}
NOT_NEEDED: Example = {"needed": False}
NEWSLETTERS: Example = {
    "language": "fr",
    "newsletters": [
        {
            "slug": "hebdo",
            "name": {"text": "L’hebdo", "language": "fr", "direction": "ltr"},
            "promise": {"text": "L’essentiel de la semaine.", "language": "fr", "direction": "ltr"},
            "institution": {"text": "Ministère de l’Exemple", "language": "fr", "direction": "ltr"},
            "languages": ["fr", "ar"],
            "topics": [{"slug": "services", "name": {"text": "Services", "language": "fr", "direction": "ltr"}}],
            "frequencies": [{"frequency": "weekly", "words": "chaque lundi à 8 h"}],
            "cndp_reference": "D-000/2026",
            "contact": "contact@lettre.example.ma",
            "sign_up_page": "https://lettre.example.ma/fr/?newsletters=hebdo",
            "archive": "https://lettre.example.ma/archive/hebdo/fr/",
        }
    ],
}
