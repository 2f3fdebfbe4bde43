from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [
        {
            "use": "official",
            "family": "LEFÈVRE d'Ormesson",
            "given": ["DOMINIQUE MARIE-LOUISE", "Éva"],
            "prefix": ["Dr"],
        },
        {"use": "usual", "text": "Dédé Lefèvre", "period": {"start": "2020"}},
    ],
    "address": [
        {
            "use": "home",
            "line": ["12, rue de l'Église", "Bât. C"],
            "city": "L'Haÿ-les-Roses",
            "postalCode": "94240",
        },
    ],
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        # The start of a value, whatever case and accents.
        ("family=lefevre", True),
        ("family=LEFÈVRE", True),
        ("family=LEF", True),
        ("family=Lefe\u0301vre", True),
        ("family=lefevre d ormesson", True),
        ("family=lefevre-d'ormesson", True),
        ("family=  Lefèvre   D'Ormesson ", True),
        ("family=efevre", False),
        ("family=lefebvre", False),
        ("family=lefevre dormesson", False),
        ("given=dominique", True),
        ("given=eva", True),
        ("given=lefevre", False),
        # The start of any of its words.
        ("family=ormesson", True),
        ("given=marie", True),
        ("given=Marie Louise", True),
        ("given=louise", True),
        ("given=dominique louise", False),
        ("given=ouise", False),
        # All parts of a name or an address, but not use or period.
        ("name=lefevre", True),
        ("name=eva", True),
        ("name=dede", True),
        ("name=dede lefevre", True),
        ("name=dr", True),
        ("name=usual", False),
        ("name=2020", False),
        ("address=rue de l'eglise", True),
        ("address=eglise", True),
        ("address=bat", True),
        ("address=roses", True),
        ("address=94240", True),
        ("address=942", True),
        ("address=home", False),
        ("address-city=l hay", True),
        ("address-city=hay", True),
        ("address-country=fr", False),
        # Inside.
        ("family:contains=ormes", True),
        ("family:contains=efev", True),
        ("family:contains=vre d'or", True),
        ("family:contains=ORMES", True),
        ("family:contains=xyz", False),
        ("given:contains=lefevre", False),
        ("family:contains=l.f", False),
        ("address:contains=12 rue", True),
        # Exactly.
        ("family:exact=LEFÈVRE d'Ormesson", True),
        ("family:exact=Lefèvre d'Ormesson", False),
        ("family:exact=LEFEVRE d'Ormesson", False),
        ("family:exact=LEFÈVRE", False),
        ("family:exact=LEFÈVRE d'Ormesson ", False),
        ("given:exact=Éva", True),
        ("given:exact=E\u0301va", False),
        ("given:exact=MARIE", False),
        # Or, and, escapes.
        ("family=durand,lefevre", True),
        ("family=durand,dupont", False),
        ("given=eva&given=dominique", True),
        ("given=eva&given=jean", False),
        (r"address=12\, rue", True),
        ("address=12, rue", True),
        (r"family:exact=LEFÈVRE d'Ormesson\,", False),
        # Presence.
        ("family:missing=false", True),
        ("family:missing=true", False),
        ("address-country:missing=true", True),
        ("address-country:missing=false", False),
    ],
)
def test_string(finds: Finds, asked: str, found: bool) -> None:
    assert finds(PATIENT, asked) is found


@pytest.mark.parametrize("asked", ["family=-", "family:contains=.*", "family=...,durand"])
def test_punctuation_alone_is_refused(finds: Finds, asked: str) -> None:
    with pytest.raises(BadRequest, match="no letter and no digit"):
        finds(PATIENT, asked)


LONG = "Compte rendu " + "très " * 60 + "long"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"description={LONG}", True),
        ("description=rendu", True),
        (f"description:exact={LONG}", True),
        (f"description:exact={LONG}.", False),
        ("description=long", False),  # not one of the first words
    ],
)
def test_long_strings(finds: Finds, asked: str, found: bool) -> None:
    resource = {"resourceType": "DocumentReference", "description": LONG}
    assert finds(resource, asked) is found


def test_a_text_of_punctuation_is_not_missing(finds: Finds) -> None:
    assert finds({"resourceType": "Patient", "name": [{"family": "?"}]}, "family:missing=false")
