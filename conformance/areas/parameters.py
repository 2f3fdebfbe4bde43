"""Every search parameter that is claimed, of every type. https://hl7.org/fhir/R4/search.html#3.1.1.4.3"""

from urllib.parse import parse_qsl, urlsplit

from conformance import expect
from conformance.checks import check
from conformance.target import Target

AREA = "search parameters"

VALUES = {
    "string": "conformance",
    "token": "true",  # the one code that a boolean, too, can be
    "reference": "conformance-none",
    "date": "ge2999-01-01",
    "number": "5",
    "quantity": "5.4|http://unitsofmeasure.org|mg",
    "uri": "urn:conformance:none",
    "composite": "conformance$conformance",
    "special": "conformance",
}
"""A value of the right form by type of parameter."""

COMPOSITES = {
    "quantity": "http://loinc.org|1-8$gt5.4|http://unitsofmeasure.org|mg",
    "date": "http://loinc.org|1-8$gt2020",
    "coordinate": "1$lt345$gt123",
    "relationship": "DocumentReference/conformance-none$replaces",
    "component": "5$gt5.4",
}
"""Values of composite parameters by the last word of their name."""

SPECIAL = {
    "near": "48.85|2.35|10|km",
    "_filter": "_id eq conformance-none",
    "_has": "",
    "_type": "Patient",
    "_contained": "false",
    "_containedType": "container",
}
"""Values of parameters with a form of their own; "" where the name alone is not enough to ask."""

MALFORMED = {"date": "not-a-date", "number": "not-a-number", "quantity": "not-a-number||mg"}
"""Values that cannot be read; the other types have no form."""

CASES = ("{type}?{item}", "{type}/search-type")


@check(
    AREA,
    "A value of the right form is taken, and shown in the self link",
    "search.html#3.1.1.4.3",
    *CASES,
    each="claim",
)
def taken(target: Target) -> None:
    name, kind = target.item, target.statement.parameters[f"{target.type}?{target.item}"]
    value = SPECIAL.get(name, VALUES.get(kind, "conformance"))
    if kind == "composite":
        value = COMPOSITES.get(name.rpartition("-")[2], value)
    if not value:
        raise expect.NotOffered
    body = target.search(target.type, (name, value), ("_count", "1"))
    used = [key for key, _ in parse_qsl(urlsplit(expect.link(body, "self")).query, keep_blank_values=True)]
    expect.require(name in used, f"the self link does not have it: it was not used ({used})")


@check(AREA, "A malformed value is refused", "search.html#3.1.1.3", *CASES, each="claim", should=True)
def malformed(target: Target) -> None:
    value = MALFORMED.get(target.statement.parameters[f"{target.type}?{target.item}"])
    if not value:
        raise expect.NotOffered
    expect.outcome(target.get(target.type, {target.item: value}), 400, 422)
