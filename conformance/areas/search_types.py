"""How values are compared, by type of search parameter. https://hl7.org/fhir/R4/search.html#3.1.1.4.3

Each check stores a few resources and asks a table of questions about them; letters name the resources.
"""

from typing import Any

from conformance import expect
from conformance.checks import check
from conformance.client import Resource
from conformance.target import Target

AREA = "search types"


def ask(target: Target, type: str, things: dict[str, Resource], rows: dict[str, str]) -> None:
    """Store the things, ask ``parameter=value`` for every row, expect the letters it finds.

    Where the specification leaves it open, the possible answers are separated by ``|``.
    """
    letters = {target.create(type, **elements)["id"]: letter for letter, elements in things.items()}
    wrong = []
    for question, expected in rows.items():
        name, _, value = question.partition("=")
        answer = target.get(type, [("_tag", target.tag), (name, value), ("_count", "50")])
        if answer.status != 200:
            wrong.append(f"{question} is {answer.status}")
            continue
        found = expect.resources(expect.bundle(answer, "searchset"))
        got = "".join(sorted(letters.get(each["id"], "?") for each in found))
        if got not in expected.split("|"):
            wrong.append(f"{question} finds {got or 'nothing'}, not {expected or 'nothing'}")
    expect.require(not wrong, "; ".join(wrong)[:700])


def needs(type: str, *parameters: str) -> tuple[str, ...]:
    return (f"{type}/create", f"{type}/search-type", *(f"{type}?{name}" for name in ("_tag", *parameters)))


@check(
    AREA,
    "string: begins with, whatever case and accents; :exact; :contains",
    "search.html#string",
    *needs("Patient", "family"),
)
def string(target: Target) -> None:
    families = {"a": "Durand", "b": "Durand-Lefèvre", "c": "LEFEVRE", "d": "Éluard"}
    ask(
        target,
        "Patient",
        {letter: {"name": [{"family": family}]} for letter, family in families.items()},
        {
            "family=dur": "ab",
            "family=DURAND": "ab",
            "family=eluard": "d",
            "family=lefèvre": "c|bc",  # the parts of a name may be searched independently
            "family:exact=Durand": "a",
            "family:exact=durand": "",
            "family:contains=fev": "bc",
            "family=dur,elu": "abd",
            "family=rand": "",
        },
    )


@check(
    AREA,
    "token: code, system|code, |code, system|; :not",
    "search.html#token",
    *needs("Patient", "identifier", "gender"),
)
def token(target: Target) -> None:
    value = target.mark
    ask(
        target,
        "Patient",
        {
            "a": {"identifier": [{"system": "urn:conformance:a", "value": value}], "gender": "female"},
            "b": {"identifier": [{"system": "urn:conformance:b", "value": value}], "gender": "male"},
            "c": {"identifier": [{"value": value}]},
            "d": {"identifier": [{"system": "urn:conformance:a", "value": f"{value}-more"}]},
        },
        {
            f"identifier={value}": "abc",
            f"identifier=urn:conformance:a|{value}": "a",
            f"identifier=|{value}": "c",
            "identifier=urn:conformance:a|": "ad",
            f"identifier=urn:conformance:c|{value}": "",
            "gender=female": "a",
            "gender=female,male": "ab",
            "gender:not=female": "bcd",
        },
    )


@check(
    AREA, "token: boolean and CodeableConcept", "search.html#token", *needs("Patient", "active", "language")
)
def token_types(target: Target) -> None:
    french, german = ({"system": "urn:ietf:bcp:47", "code": code} for code in ("fr", "de"))
    ask(
        target,
        "Patient",
        {
            "a": {"active": True, "communication": [{"language": {"coding": [french]}}]},
            "b": {"active": False, "communication": [{"language": {"coding": [german]}}]},
            "c": {"communication": [{"language": {"coding": [german], "text": "fr"}}]},
        },
        {
            "active=true": "a",
            "active=false": "b",
            "language=fr": "a",
            "language=fr,de": "abc",
            "language=urn:ietf:bcp:47|fr": "a",
            "language=|fr": "",
        },
    )


@check(
    AREA,
    "date: the precision is a range; prefixes compare ranges",
    "search.html#date",
    *needs("Patient", "birthdate"),
)
def date(target: Target) -> None:
    dates = {"a": "1980-02-29", "b": "1980-03-01", "c": "1980", "d": "1979-12-31"}
    ask(
        target,
        "Patient",
        {letter: {"birthDate": date} for letter, date in dates.items()} | {"e": {}},
        {
            "birthdate=1980": "abc",
            "birthdate=1980-02": "a",
            "birthdate=1980-03-01": "b",
            "birthdate=eq1980-02-29": "a",
            "birthdate=ne1980-02-29": "bcd",
            "birthdate=gt1980-02-29": "bc",
            "birthdate=ge1980-03-01": "bc",
            "birthdate=lt1980": "d",
            "birthdate=le1980-02-29": "acd",
            "birthdate=sa1979": "abc",
            "birthdate=eb1980-03-01": "ad",
        },
    )


@check(AREA, "date: times with zones and periods", "search.html#date", *needs("Observation", "date"))
def times(target: Target) -> None:
    ask(
        target,
        "Observation",
        {
            "a": {"effectiveDateTime": "2020-06-15T23:30:00-02:00"},
            "b": {"effectivePeriod": {"start": "2020-06-01", "end": "2020-06-10"}},
            "c": {"effectivePeriod": {"start": "2020-06-20T00:00:00Z"}},
        },
        {
            "date=2020-06-16T01:30:00Z": "a",
            "date=2020-06-15T23:30:00-02:00": "a",
            "date=lt2020-06-05": "b",
            "date=gt2020-06-17": "c",
            "date=sa2020-06-17": "c",
            "date=ge2020-06-16T00:00:00Z": "ac",
        },
    )


@check(
    AREA,
    "reference: by id, by type and id, by URL; :identifier",
    "search.html#reference",
    *needs("Observation", "subject"),
    "Patient/create",
)
def reference(target: Target) -> None:
    patients = [target.create("Patient")["id"] for _ in range(2)]
    first = patients[0]
    ask(
        target,
        "Observation",
        {
            "a": {"subject": {"reference": f"Patient/{first}"}},
            "b": {"subject": {"reference": f"Patient/{patients[1]}"}},
            "c": {"subject": {"display": "nobody"}},
        },
        {
            f"subject={first}": "a",
            f"subject=Patient/{first}": "a",
            f"subject:Patient={first}": "a",
            f"subject=Device/{first}": "",
            f"subject={target.client.base_url}/Patient/{first}": "a",
            f"subject=Patient/{first},Patient/{patients[1]}": "ab",
        },
    )


@check(
    AREA,
    "reference: by the identifier of the reference",
    "search.html#reference",
    *needs("Observation", "subject"),
    should=True,
)
def reference_identifier(target: Target) -> None:
    identifier = {"system": "urn:conformance", "value": target.mark}
    ask(
        target,
        "Observation",
        {"a": {"subject": {"identifier": identifier}}, "b": {"subject": {"display": target.mark}}},
        {
            f"subject:identifier=urn:conformance|{target.mark}": "a",
            f"subject:identifier=urn:other|{target.mark}": "",
        },
    )


@check(
    AREA,
    "number: the implicit precision is a range",
    "search.html#number",
    *needs("RiskAssessment", "probability"),
)
def number(target: Target) -> None:
    def risk(probability: float) -> dict[str, Any]:
        return {"prediction": [{"probabilityDecimal": probability}]}

    ask(
        target,
        "RiskAssessment",
        {"a": risk(0.5), "b": risk(0.54), "c": risk(0.8)},
        {
            "probability=0.5": "ab",
            "probability=0.50": "a",
            "probability=gt0.5": "bc",
            "probability=le0.54": "ab",
        },
    )


@check(
    AREA,
    "quantity: value, unit by system and code, unit alone; prefixes",
    "search.html#quantity",
    *needs("Observation", "value-quantity"),
)
def quantity(target: Target) -> None:
    def value(number: float, code: str, unit: str) -> dict[str, Any]:
        quantity = {"value": number, "unit": unit, "system": "http://unitsofmeasure.org", "code": code}
        return {"valueQuantity": quantity}

    ask(
        target,
        "Observation",
        {
            "a": value(5.4, "mg", "milligrams"),
            "b": value(5.4, "g", "grams"),
            "c": value(7.27, "mg", "milligrams"),
        },
        {
            "value-quantity=5.4": "ab",
            "value-quantity=5.4|http://unitsofmeasure.org|mg": "a",
            "value-quantity=5.4||mg": "a",
            "value-quantity=5.40": "ab",
            "value-quantity=5": "ab",
            "value-quantity=gt5.4||mg": "c",
            "value-quantity=lt7||mg": "a",
            "value-quantity=ge5.4": "abc",
            "value-quantity=7.3||mg": "c",
        },
    )


@check(AREA, "uri: the whole of it; :below and :above", "search.html#uri", *needs("Device", "url"))
def uri(target: Target) -> None:
    ask(
        target,
        "Device",
        {
            "a": {"url": f"http://conformance.test/{target.mark}/x"},
            "b": {"url": f"http://conformance.test/{target.mark}"},
        },
        {
            f"url=http://conformance.test/{target.mark}": "b",
            f"url=http://conformance.test/{target.mark.upper()}": "",
            f"url:below=http://conformance.test/{target.mark}": "ab",
            f"url:above=http://conformance.test/{target.mark}/x": "ab",
        },
    )


@check(
    AREA,
    "composite: both parts in the same element",
    "search.html#3.1.1.4.17",
    *needs("Observation", "component-code-value-quantity"),
)
def composite(target: Target) -> None:
    def component(code: str, value: float) -> dict[str, Any]:
        coding = {"coding": [{"system": "urn:conformance", "code": code}]}
        return {"code": coding, "valueQuantity": {"value": value, "unit": "mm[Hg]"}}

    name = "component-code-value-quantity"
    ask(
        target,
        "Observation",
        {
            "a": {"component": [component("systolic", 120), component("diastolic", 80)]},
            "b": {"component": [component("systolic", 80), component("diastolic", 120)]},
        },
        {
            f"{name}=urn:conformance|systolic$gt100": "a",
            f"{name}=urn:conformance|diastolic$gt100": "b",
            f"{name}=systolic$gt60": "ab",
            f"{name}=urn:conformance|pulse$gt60": "",
        },
    )


@check(
    AREA,
    "A value that is hostile finds nothing, or is refused",
    "search.html#3.1.1.3",
    *needs("Patient", "family", "identifier"),
)
def hostile(target: Target) -> None:
    target.create("Patient", name=[{"family": "Durand"}], identifier=[{"value": "conformance"}])
    for value in ("' or 1=1 --", ".*", "^Du.*nd$", "$where", '{"$gt": ""}', "%00", "\\", "(" * 50, "\x00"):
        for parameter in ("family", "identifier"):
            answer = target.get("Patient", {"_tag": target.tag, parameter: value})
            if answer.status == 200:
                found = expect.resources(expect.bundle(answer, "searchset"))
                expect.equal(f"{parameter}={value!r}", len(found), 0)
            else:
                expect.refused(answer)
