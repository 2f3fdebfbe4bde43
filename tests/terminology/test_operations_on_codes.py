"""The terminology operations over the wire. https://hl7.org/fhir/R4/terminology-service.html"""

from typing import Any

import httpx2
import pytest

from tests.terminology.answers import parameters, refused, told
from tests.terminology.conftest import BREEDS
from tests.terminology.synthetic import ANIMALS, animals, value_set

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
UCUM = "http://unitsofmeasure.org"
UNITS = "http://hl7.org/fhir/ValueSet/ucum-units"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
VS = "http://example.org/ValueSet/"
MAP = "http://example.org/ConceptMap/breeds"


# --- $validate-code


@pytest.mark.parametrize(
    ("query", "result", "message"),
    [
        (f"/ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male", True, ""),
        (f"/ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=mal", False, "did you mean male?"),
        (f"/ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male&display=Male", True, ""),
        (f"/ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male&display=M", False, "is 'Male'"),
        (f"/ValueSet/$validate-code?url={GENDERS}&code=male", True, ""),
        (f"/ValueSet/$validate-code?url={GENDERS}&code=m", False, "none of the code systems"),
        (f"/ValueSet/$validate-code?url={GENDERS}&coding={GENDER}|male", True, ""),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&display=chat", True, ""),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=bird", False, "not in the value set"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=unicorn", True, "inactive"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&systemVersion=9", False, "are 1.0"),
        (f"/ValueSet/$validate-code?url={VS}all-animals&code=animal&abstract=false", False, "abstract"),
        (f"/ValueSet/$validate-code?url={VS}all-animals&code=animal&abstract=true", True, ""),
        (f"/ValueSet/$validate-code?url={VS}mixed&system={BREEDS}&code=poodle", True, ""),
        (f"/ValueSet/$validate-code?url={VS}unknown-system&system=http://example.org/unknown&code=1", False,
         "cannot be told"),
        (f"/ValueSet/$validate-code?url={UNITS}&system={UCUM}&code=mg/dL", True, ""),
        ("/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/mimetypes&code=text/html", True, ""),
        (f"/CodeSystem/$validate-code?url={UCUM}&code=mm[Hg]", True, ""),
        (f"/CodeSystem/$validate-code?url={UCUM}&code=mmHg", False, "is not in"),
        (f"/CodeSystem/$validate-code?url={GENDER}&code=other&display=Other", True, ""),
        (f"/CodeSystem/$validate-code?coding={GENDER}|other", True, ""),
        (f"/CodeSystem/$validate-code?url={ANIMALS}&coding={GENDER}|other", False, "not a code of"),
        ("/CodeSystem/animals/$validate-code?code=dog", True, ""),
        ("/CodeSystem/$validate-code?url=urn:oid:2.16.840.1.113883.5.4&code=AMB", True, ""),
        ("/ValueSet/$validate-code?url=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
         "&system=urn:oid:2.16.840.1.113883.5.4&code=AMB", True, ""),
        (f"/CodeSystem/$validate-code?url={ANIMALS}&version=1.0&code=dog", True, ""),
        (f"/CodeSystem/$validate-code?system={ANIMALS}&code=dog", True, ""),
        # displays in a language, what later versions of FHIR and other servers ask
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&display=chat&displayLanguage=fr-FR,en",
         True, ""),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&display=chat&displayLanguage=de",
         False, "is 'Cat'"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&display=x&valueset-membership-only=true",
         True, "is 'Cat'"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&display=x&lenient-display-validation=true",
         True, "is 'Cat'"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=unicorn&activeOnly=true", False,
         "inactive"),
        (f"/ValueSet/mammals/$validate-code?system={ANIMALS}&code=cat&version=9", False, "are 1.0"),
        ("/ValueSet/mammals/$validate-code?code=cat&inferSystem=true", True, ""),
        ("/ValueSet/mammals/$validate-code?coding=cat", False, "has no system"),
    ],
)  # fmt: skip
def test_validate_code(api: httpx2.Client, query: str, result: bool, message: str) -> None:
    found = told(api.get(query))
    assert found["result"] is result
    assert message in found.get("message", "")
    assert bool(message) == ("message" in found)


def test_a_value_set_whose_supplement_is_not_known(api: httpx2.Client) -> None:
    extension = {
        "url": "http://hl7.org/fhir/StructureDefinition/valueset-supplement",
        "valueCanonical": "http://example.org/CodeSystem/none",
    }
    asked = parameters(("valueSet", "resource", value_set("y", {"system": ANIMALS}, extension=[extension])))
    assert "CodeSystem/none" in refused(api.post("/ValueSet/$expand", json=asked), 422, "not-found")


def test_validate_code_of_a_concept(api: httpx2.Client) -> None:
    concept = {"coding": [{"system": GENDER, "code": "x"}, {"system": ANIMALS, "code": "cat"}], "text": "Cat"}
    asked = parameters(
        ("url", "valueUri", f"{VS}mammals"), ("codeableConcept", "valueCodeableConcept", concept)
    )
    found = told(api.post("/ValueSet/$validate-code", json=asked))
    assert found == {"result": True, "display": "Cat", "code": "cat", "system": ANIMALS, "version": "1.0"}
    concept["coding"] = [{"system": GENDER, "code": "x"}, {"system": ANIMALS, "code": "fish"}]
    found = told(api.post("/ValueSet/$validate-code", json=asked))
    assert found["result"] is False
    assert f"{GENDER}|x" in found["message"]
    assert f"{ANIMALS}|fish" in found["message"]


def test_validate_code_of_a_system_that_is_not_known(api: httpx2.Client) -> None:
    include = {"system": BREEDS, "concept": [{"code": "pug", "display": "Pug"}]}
    asked = parameters(
        ("valueSet", "resource", value_set("x", include)),
        ("coding", "valueCoding", {"system": BREEDS, "code": "pug"}),
    )
    found = told(api.post("/ValueSet/$validate-code", json=asked))
    assert found == {"result": True, "display": "Pug", "code": "pug", "system": BREEDS}


def test_validate_code_in_what_comes_along(api: httpx2.Client) -> None:
    system = animals(concept=[{"code": "zebra"}])
    asked = parameters(("codeSystem", "resource", system), ("code", "valueCode", "zebra"))
    assert told(api.post("/CodeSystem/$validate-code", json=asked))["result"] is True


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("/ValueSet/$validate-code?url=http://example.org/none&code=x", 404, "not-found"),
        (f"/ValueSet/$validate-code?url={GENDERS}", 400, "invalid"),
        (f"/ValueSet/$validate-code?url={GENDERS}&code=x&coding=a|b", 400, "invalid"),
        ("/ValueSet/$validate-code?code=x", 400, "invalid"),
        ("/ValueSet/$validate-code?context=x&code=x", 501, "not-supported"),
        ("/CodeSystem/$validate-code?url=http://example.org/none&code=x", 404, "not-found"),
        (f"/CodeSystem/$validate-code?url={ANIMALS}&version=7&code=dog", 404, "not-found"),
        ("/CodeSystem/$validate-code?code=x", 400, "invalid"),
        ("/CodeSystem/none/$validate-code?code=x", 404, "not-found"),
    ],
)
def test_validate_code_refused(api: httpx2.Client, query: str, status: int, code: str) -> None:
    refused(api.get(query), status, code)


# --- $lookup


def test_lookup(api: httpx2.Client) -> None:
    answer = api.get(f"/CodeSystem/$lookup?system={ANIMALS}&code=mammal&displayLanguage=fr")
    assert told(answer) == {"name": "Animals", "version": "1.0", "display": "Mammifère"}
    parts = [{p["name"]: next(v for k, v in p.items() if k != "name") for p in each["part"]}
             for each in answer.json()["parameter"] if "part" in each]  # fmt: skip
    assert parts == [
        {"language": "fr", "value": "Mammifère"},
        {"code": "parent", "value": "animal", "description": "Animal"},
        {"code": "child", "value": "dog", "description": "Dog"},
        {"code": "child", "value": "cat", "description": "Cat"},
        {"code": "child", "value": "unicorn", "description": "Unicorn"},
        {"code": "inactive", "value": False},
    ]


def test_lookup_of_some_properties(api: httpx2.Client) -> None:
    answer = api.get(
        f"/CodeSystem/$lookup?coding={ANIMALS}|dog&property=legs&property=definition&property=lang.fr"
    )
    parts = [each["part"] for each in answer.json()["parameter"] if "part" in each]
    assert parts == [
        [{"name": "language", "valueCode": "fr"}, {"name": "value", "valueString": "Chien"}],
        [{"name": "code", "valueCode": "definition"}, {"name": "value", "valueString": "It barks"}],
        [{"name": "code", "valueCode": "legs"}, {"name": "value", "valueInteger": 4}],
    ]


@pytest.mark.parametrize(
    ("query", "display"),
    [
        (f"system={UCUM}&code=kg/m2", "kg/m2"),
        (f"system={GENDER}&code=male", "Male"),
        (f"system={ACT}&code=AMB", "ambulatory"),
        (f"system={ANIMALS}&code=animal&version=1.0", "Animal"),
        ("system=urn:ietf:bcp:47&code=fr-FR", "fr-FR"),
        ("system=urn:oid:2.16.840.1.113883.5.4&code=AMB", "ambulatory"),
        ("system=urn:oid:2.16.840.1.113883.6.8&code=mg", "mg"),
    ],
)
def test_lookup_of_all_sorts(api: httpx2.Client, query: str, display: str) -> None:
    assert told(api.get(f"/CodeSystem/$lookup?{query}"))["display"] == display


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        (f"system={ANIMALS}&code=zebra", 404, "not-found"),
        (f"system={UCUM}&code=mmHg", 404, "not-found"),
        ("system=http://example.org/none&code=x", 404, "not-found"),
        (f"system={ANIMALS}&code=dog&version=3", 404, "not-found"),
        ("code=dog", 400, "invalid"),
        (f"system={ANIMALS}", 400, "invalid"),
    ],
)
def test_lookup_refused(api: httpx2.Client, query: str, status: int, code: str) -> None:
    refused(api.get(f"/CodeSystem/$lookup?{query}"), status, code)


# --- $subsumes


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("dog", "dog", "equivalent"),
        ("animal", "dog", "subsumes"),
        ("dog", "mammal", "subsumed-by"),
        ("dog", "cat", "not-subsumed"),
    ],
)
def test_subsumes(api: httpx2.Client, first: str, second: str, outcome: str) -> None:
    by_code = api.get(f"/CodeSystem/$subsumes?system={ANIMALS}&codeA={first}&codeB={second}")
    by_coding = api.get(f"/CodeSystem/$subsumes?codingA={ANIMALS}|{first}&codingB={ANIMALS}|{second}")
    by_id = api.get(f"/CodeSystem/animals/$subsumes?codeA={first}&codeB={second}")
    assert [told(answer) for answer in (by_code, by_coding, by_id)] == [{"outcome": outcome}] * 3


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        (f"system={ANIMALS}&codeA=dog&codeB=zebra", 404, "not-found"),
        ("system=http://example.org/none&codeA=dog&codeB=zebra", 404, "not-found"),
        (f"codingA={ANIMALS}|dog&codingB={GENDER}|male", 400, "invalid"),
        (f"system={ANIMALS}&codeA=dog", 400, "invalid"),
        ("codeA=dog&codeB=cat", 400, "invalid"),
    ],
)
def test_subsumes_refused(api: httpx2.Client, query: str, status: int, code: str) -> None:
    refused(api.get(f"/CodeSystem/$subsumes?{query}"), status, code)


# --- $translate


def matches(answer: httpx2.Response) -> list[tuple[str, str, str]]:
    """Equivalence, system and code of each match."""
    found = []
    for each in answer.json()["parameter"]:
        if each["name"] == "match":
            parts = {part["name"]: part for part in each["part"]}
            coding = parts.get("concept", {}).get("valueCoding", {})
            found.append(
                (parts["equivalence"]["valueCode"], coding.get("system", ""), coding.get("code", ""))
            )
            assert parts["source"]["valueUri"]
    return found


@pytest.mark.parametrize(
    ("path", "result", "expected"),
    [
        (f"/ConceptMap/$translate?url={MAP}&system={ANIMALS}&code=dog", True, [("wider", BREEDS, "poodle")]),
        (f"/ConceptMap/breeds/$translate?coding={ANIMALS}|dog", True, [("wider", BREEDS, "poodle")]),
        (f"/ConceptMap/$translate?system={ANIMALS}&code=dog&targetsystem={BREEDS}", True,
         [("wider", BREEDS, "poodle")]),
        (f"/ConceptMap/$translate?system={ANIMALS}&code=dog&source={VS}pets&target={VS}breeds", True,
         [("wider", BREEDS, "poodle")]),
        (f"/ConceptMap/$translate?system={ANIMALS}&code=dog&targetsystem=http://example.org/none", False, []),
        (f"/ConceptMap/$translate?url={MAP}&system={ANIMALS}&code=cat", False, [("unmatched", "", "")]),
        (f"/ConceptMap/$translate?url={MAP}&system={ANIMALS}&code=bird", True,
         [("relatedto", BREEDS, "mongrel")]),
        (f"/ConceptMap/$translate?url={MAP}&system={BREEDS}&code=poodle&reverse=true", True,
         [("narrower", ANIMALS, "dog")]),
        (f"/ConceptMap/$translate?url={MAP}&system={BREEDS}&code=pug&reverse=true", False, []),
        ("/ConceptMap/$translate?system=http://hl7.org/fhir/address-use&code=home"
         "&url=http://hl7.org/fhir/ConceptMap/cm-address-use-v3", True,
         [("equal", "http://terminology.hl7.org/CodeSystem/v3-AddressUse", "H")]),
    ],
)  # fmt: skip
def test_translate(api: httpx2.Client, path: str, result: bool, expected: list[tuple[str, str, str]]) -> None:
    answer = api.get(path)
    found = told(answer)
    assert (found["result"], matches(answer)) == (result, expected)
    assert ("message" in found) != result


def test_translate_what_depends_on_something_else(api: httpx2.Client) -> None:
    asked = parameters(
        ("url", "valueUri", MAP), ("coding", "valueCoding", {"system": ANIMALS, "code": "dog"})
    )
    parts = [
        {"name": "element", "valueUri": "http://example.org/climate"},
        {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "cold"}]}},
    ]
    asked["parameter"].append({"name": "dependency", "part": parts})
    answer = api.post("/ConceptMap/$translate", json=asked)
    assert [code for _, _, code in matches(answer)] == ["poodle", "husky"]
    products = [p["part"] for each in answer.json()["parameter"] if each["name"] == "match"
                for p in each["part"] if p["name"] == "product"]  # fmt: skip
    coding = {"system": "http://c.test", "code": "thick"}
    assert products == [
        [
            {"name": "element", "valueUri": "http://example.org/coat"},
            {"name": "concept", "valueCoding": coding},
        ]
    ]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("url=http://example.org/none&system=a&code=b", 404, "not-found"),
        ("code=b", 400, "invalid"),
        (f"url={MAP}", 400, "invalid"),
        (f"url={MAP}&system=a&code=b&reverse=perhaps", 400, "invalid"),
    ],
)
def test_translate_refused(api: httpx2.Client, query: str, status: int, code: str) -> None:
    refused(api.get(f"/ConceptMap/$translate?{query}"), status, code)


# --- what is told of it


def test_the_terminology_capabilities_tell_of_the_code_systems(api: httpx2.Client) -> None:
    body = api.get("/metadata?mode=terminology").json()
    assert body["resourceType"] == "TerminologyCapabilities"
    systems = {system["uri"]: system.get("version", []) for system in body["codeSystem"]}
    assert systems[ANIMALS] == [{"code": "1.0", "isDefault": True}]
    assert {GENDER, UCUM, ACT, "urn:ietf:bcp:47"} <= systems.keys()
    assert "filter" in [parameter["name"] for parameter in body["expansion"]["parameter"]]
    assert body["expansion"]["paging"] is True


def test_the_terminology_capabilities_are_valid(api: httpx2.Client, validator: Any) -> None:
    body = api.get("/metadata?mode=terminology").json()
    assert [i for i in validator.validate(body) if i.severity in ("error", "fatal")] == []


def test_answers_are_valid(api: httpx2.Client, validator: Any) -> None:
    for path in (
        f"/CodeSystem/$lookup?system={ANIMALS}&code=mammal",
        f"/ValueSet/$expand?url={VS}mammals&excludeNested=false&includeDesignations=true",
        f"/ConceptMap/$translate?url={MAP}&system={ANIMALS}&code=dog",
        f"/ValueSet/$validate-code?url={GENDERS}&code=m",
    ):
        body = api.get(path).json()
        assert [i for i in validator.validate(body) if i.severity in ("error", "fatal")] == [], path
