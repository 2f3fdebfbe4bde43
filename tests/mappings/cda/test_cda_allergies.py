"""What words make of an allergy entry that names no agent."""

from pathlib import Path

import pytest

from mappings import cda
from mappings.core.source import Source

DOCUMENT = Path(__file__).parents[2] / "cases" / "cda" / "allergies-in-words" / "document.xml"


def asserted(words: str) -> list[str]:
    """The allergies of a document whose only narrative under allergies is these words."""
    raw = DOCUMENT.read_text().replace("Aucune allergie / intolérance identifiée pendant le séjour", words)
    first = raw.partition("<entry>")[0] + "<entry>" + raw.split("<entry>")[1]
    rest = first.removesuffix("\n") + "</section></component></structuredBody></component></ClinicalDocument>"
    bundle = cda.to_bundle(rest.encode(), Source()).bundle
    return [
        entry["resource"]["code"]["text"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "AllergyIntolerance"
    ]


@pytest.mark.parametrize(
    "words",
    [
        "Aucune",
        "Aucune allergie / intolérance identifiée",
        "Pas d'allergie connue",
        "Pas d’allergie connue",
        "Pas d'antécédent allergique",
        "Le patient ne présente pas d'allergie",
        "Absence d'allergie médicamenteuse",
        "Patient non allergique",
        "Allergies : non connues",
        "Non",
        "Non.",
        "néant",
        "RAS",
        "No known allergies",
        "-",
    ],
)
def test_words_that_say_none(words: str) -> None:
    assert asserted(words) == []


@pytest.mark.parametrize(
    "words",
    [
        "Oui",
        "Anti-inflammatoires non stéroïdiens",
        "Pénicilline",
        "Rasburicase",
        "Allergie à un produit sans précision",
        "Nonivamide",
    ],
)
def test_words_that_say_some(words: str) -> None:
    assert asserted(words) == ["allergie médicamenteuse (agent non précisé)"]
