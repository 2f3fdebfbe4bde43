"""Invented code systems, value sets and concept maps."""

from typing import Any

from fhirserver.model.json import Resource

ANIMALS = "http://example.org/CodeSystem/animals"


def animals(**elements: Any) -> Resource:
    """A hierarchy: animal (abstract) over mammal (over dog, cat, and the retired unicorn) and bird."""
    return {
        "resourceType": "CodeSystem",
        "id": "animals",
        "url": ANIMALS,
        "version": "1.0",
        "name": "Animals",
        "title": "Animals of the world",
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "hierarchyMeaning": "is-a",
        "valueSet": "http://example.org/ValueSet/all-animals",
        "property": [
            {"code": "legs", "type": "integer"},
            {"code": "status", "type": "code", "uri": "http://hl7.org/fhir/concept-properties#status"},
            {
                "code": "abstract",
                "type": "boolean",
                "uri": "http://hl7.org/fhir/concept-properties#notSelectable",
            },
        ],
        "concept": [
            {
                "code": "animal",
                "display": "Animal",
                "property": [{"code": "abstract", "valueBoolean": True}],
                "concept": [
                    {
                        "code": "mammal",
                        "display": "Mammal",
                        "designation": [{"language": "fr", "value": "Mammifère"}],
                        "concept": [
                            {
                                "code": "dog",
                                "display": "Dog",
                                "definition": "It barks",
                                "designation": [
                                    {"language": "fr", "value": "Chien"},
                                    {"language": "fr-CA", "value": "Pitou"},
                                ],
                                "property": [{"code": "legs", "valueInteger": 4}],
                            },
                            {
                                "code": "cat",
                                "display": "Cat",
                                "designation": [{"language": "fr", "value": "Chat"}],
                                "property": [{"code": "legs", "valueInteger": 4}],
                            },
                            {
                                "code": "unicorn",
                                "display": "Unicorn",
                                "property": [{"code": "status", "valueCode": "retired"}],
                            },
                        ],
                    },
                    {
                        "code": "bird",
                        "display": "Bird",
                        "property": [{"code": "legs", "valueInteger": 2}],
                    },
                ],
            }
        ],
        **elements,
    }


def value_set(id: str, *include: Resource, exclude: tuple[Resource, ...] = (), **elements: Any) -> Resource:
    """``http://example.org/ValueSet/<id>``."""
    compose: Resource = {"include": list(include)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {
        "resourceType": "ValueSet",
        "id": id,
        "url": f"http://example.org/ValueSet/{id}",
        "status": "active",
        "compose": compose,
        **elements,
    }


def part(op: str, property: str, value: str, system: str = ANIMALS) -> Resource:
    """An include with a filter."""
    return {"system": system, "filter": [{"property": property, "op": op, "value": value}]}


def listed(*codes: str, system: str = ANIMALS) -> Resource:
    """An include of a list of codes."""
    return {"system": system, "concept": [{"code": code} for code in codes]}


def concept_map(id: str, *groups: Resource, **elements: Any) -> Resource:
    """``http://example.org/ConceptMap/<id>``."""
    return {
        "resourceType": "ConceptMap",
        "id": id,
        "url": f"http://example.org/ConceptMap/{id}",
        "status": "active",
        "group": list(groups),
        **elements,
    }
