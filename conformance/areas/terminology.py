"""The terminology operations. https://hl7.org/fhir/R4/terminology-service.html"""

from typing import Any

from conformance import expect
from conformance.areas.operations import parameters
from conformance.checks import check
from conformance.client import Answer, Resource
from conformance.target import Target

AREA = "terminology"
EXPAND = "valueset-operation-expand.html"
VALIDATE_CODE = "valueset-operation-validate-code.html"
VALIDATE_IN_SYSTEM = "codesystem-operation-validate-code.html"
LOOKUP = "codesystem-operation-lookup.html"
SUBSUMES = "codesystem-operation-subsumes.html"
TRANSLATE = "conceptmap-operation-translate.html"
GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
NOWHERE = "http://conformance.test/nowhere"


def told(answer: Answer) -> dict[str, Any]:
    """The parameters of an answer that have a value, by name."""
    body = expect.resource(answer, "Parameters")
    return {
        p["name"]: value
        for p in body.get("parameter", ())
        for key, value in p.items()
        if key.startswith("value")
    }


def result(answer: Answer) -> bool:
    found = told(answer).get("result")
    expect.require(isinstance(found, bool), "no parameter result of type boolean")
    return bool(found)


def codes(answer: Answer) -> list[str]:
    """The codes of an expansion, nested ones included."""
    body = expect.resource(answer, "ValueSet")
    expansion: Resource = body.get("expansion") or {}
    expect.require(expansion, "no ValueSet.expansion")
    expect.require(expansion.get("timestamp"), "ValueSet.expansion.timestamp is required")

    def walk(contains: list[Resource]) -> list[str]:
        return [code for c in contains for code in (c.get("code"), *walk(c.get("contains", []))) if code]

    return walk(expansion.get("contains", []))


def system(target: Target) -> Resource:
    """A code system of its own: a over b over c."""
    return {
        "url": f"http://conformance.test/{target.mark}",
        "version": "1",
        "name": "Conformance",
        "status": "active",
        "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [
            {"code": "a", "display": "First", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}
        ],
    }


@check(AREA, "$expand lists the codes of a value set, by GET and POST", EXPAND, "ValueSet/$expand")
def expand(target: Target) -> None:
    expected = {"male", "female", "other", "unknown"}
    expect.same("codes", codes(target.get("ValueSet/$expand", {"url": GENDERS})), expected)
    posted = target.send("POST", "ValueSet/$expand", parameters(url_valueUri=GENDERS))
    expect.same("codes", codes(posted), expected)


@check(AREA, "$expand heeds filter, count and offset", EXPAND, "ValueSet/$expand")
def expand_pages(target: Target) -> None:
    filtered = target.get("ValueSet/$expand", {"url": GENDERS, "filter": "fem"})
    expect.same("codes", codes(filtered), ["female"])
    pages = [
        codes(target.get("ValueSet/$expand", {"url": GENDERS, "count": "2", "offset": str(offset)}))
        for offset in (0, 2)
    ]
    expect.require([len(page) for page in pages] == [2, 2], f"pages of 2 are {pages}")
    expect.require(not set(pages[0]) & set(pages[1]), f"a code is on two pages: {pages}")


@check(AREA, "$expand of a value set that comes along", EXPAND, "ValueSet/$expand")
def expand_inline(target: Target) -> None:
    include = {"system": GENDER, "concept": [{"code": "male"}, {"code": "other"}]}
    given = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
    answer = target.send("POST", "ValueSet/$expand", parameters(valueSet=given))
    expect.same("codes", codes(answer), ["male", "other"])


@check(AREA, "$expand of an unknown value set is 404 with an OperationOutcome", EXPAND, "ValueSet/$expand")
def expand_unknown(target: Target) -> None:
    expect.outcome(target.get("ValueSet/$expand", {"url": NOWHERE}), 404)


@check(
    AREA,
    "A code system and a value set that are written are used at once",
    EXPAND,
    *("ValueSet/$expand", "ValueSet/create", "CodeSystem/create"),
)
def written(target: Target) -> None:
    made = target.create("CodeSystem", **system(target))
    below = {"property": "concept", "op": "is-a", "value": "b"}
    compose = {"include": [{"system": made["url"], "filter": [below]}]}
    set = target.create("ValueSet", url=f"{made['url']}/vs", compose=compose)
    expect.same("codes", codes(target.get(f"ValueSet/{set['id']}/$expand")), ["b", "c"])
    expect.same("codes", codes(target.get("ValueSet/$expand", {"url": set["url"]})), ["b", "c"])


@check(AREA, "ValueSet/$validate-code: yes and no, both 200", VALIDATE_CODE, "ValueSet/$validate-code")
def validate_code(target: Target) -> None:
    for code, expected in (("male", True), ("masculine", False)):
        query = {"url": GENDERS, "system": GENDER, "code": code}
        expect.equal(code, result(target.get("ValueSet/$validate-code", query)), expected)
        coding = {"system": GENDER, "code": code}
        body = parameters(url_valueUri=GENDERS, coding_valueCoding=coding)
        expect.equal(code, result(target.send("POST", "ValueSet/$validate-code", body)), expected)
    query = {"url": GENDERS, "system": GENDER, "code": "masculine"}
    message = told(target.get("ValueSet/$validate-code", query)).get("message")
    expect.require(message, "a code that is not valid has no message")
    expect.outcome(target.get("ValueSet/$validate-code", {**query, "url": NOWHERE}), 404)


@check(
    AREA, "CodeSystem/$validate-code: yes and no, both 200", VALIDATE_IN_SYSTEM, "CodeSystem/$validate-code"
)
def validate_in_system(target: Target) -> None:
    for code, expected in (("male", True), ("masculine", False)):
        answer = target.get("CodeSystem/$validate-code", {"url": GENDER, "code": code})
        expect.equal(code, result(answer), expected)


@check(AREA, "$lookup tells name and display; an unknown code is 404", LOOKUP, "CodeSystem/$lookup")
def lookup(target: Target) -> None:
    found = told(target.get("CodeSystem/$lookup", {"system": GENDER, "code": "male"}))
    expect.require(found.get("name"), "the parameter name is required")
    expect.equal("display", found.get("display"), "Male")
    expect.outcome(target.get("CodeSystem/$lookup", {"system": GENDER, "code": "masculine"}), 404)
    expect.outcome(target.get("CodeSystem/$lookup", {"system": NOWHERE, "code": "male"}), 404)


@check(
    AREA,
    "$subsumes: equivalent, subsumes, subsumed-by, not-subsumed",
    SUBSUMES,
    *("CodeSystem/$subsumes", "CodeSystem/create"),
)
def subsumes(target: Target) -> None:
    own = system(target)
    own["concept"].append({"code": "z"})
    made = target.create("CodeSystem", **own)
    cases = (
        ("a", "a", "equivalent"),
        ("a", "c", "subsumes"),
        ("c", "a", "subsumed-by"),
        ("z", "a", "not-subsumed"),
    )
    for first, second, expected in cases:
        query = {"system": made["url"], "codeA": first, "codeB": second}
        found = told(target.get("CodeSystem/$subsumes", query)).get("outcome")
        expect.equal(f"outcome of {first} and {second}", found, expected)


@check(
    AREA,
    "$translate by a concept map, and back",
    TRANSLATE,
    *("ConceptMap/$translate", "ConceptMap/create"),
)
def translate(target: Target) -> None:
    here, there = f"http://conformance.test/{target.mark}/1", f"http://conformance.test/{target.mark}/2"
    element = {"code": "a", "target": [{"code": "A", "equivalence": "equivalent"}]}
    group = {"source": here, "target": there, "element": [element]}
    made = target.create("ConceptMap", url=f"http://conformance.test/{target.mark}", group=[group])
    query = {"url": made["url"], "system": here, "code": "a"}
    answer = target.get("ConceptMap/$translate", query)
    expect.require(result(answer), "the result is not true")
    match = [p for p in answer.json()["parameter"] if p["name"] == "match"]
    concepts = [part["valueCoding"] for m in match for part in m["part"] if part["name"] == "concept"]
    expect.same("codes", [f"{c.get('system')}|{c['code']}" for c in concepts], [f"{there}|A"])
    expect.require(not result(target.get("ConceptMap/$translate", {**query, "code": "b"})), "b is translated")
    back = {"url": made["url"], "system": there, "code": "A", "reverse": "true"}
    expect.require(result(target.get("ConceptMap/$translate", back)), "there is no way back")
    expect.outcome(target.get("ConceptMap/$translate", {**query, "url": NOWHERE}), 404)
