"""How searches are asked and answered, whatever their parameters. https://hl7.org/fhir/R4/search.html"""

from urllib.parse import urlencode

from conformance import expect
from conformance.checks import check
from conformance.client import FORM
from conformance.target import Target

AREA = "search"
SEARCH = ("{type}/search-type", "{type}/create", "{type}?_tag")


@check(
    AREA, "A searchset with self link, fullUrls and search modes", "http.html#search", *SEARCH, each="type"
)
def searchset(target: Target) -> None:
    made = target.create()
    body = target.search(target.type, ("_tag", target.tag))
    expect.require(expect.link(body, "self"), "no self link")
    expect.same("found", [each["id"] for each in expect.resources(body)], [made["id"]])
    entry = body["entry"][0]
    expect.equal("search.mode", entry.get("search", {}).get("mode"), "match")
    expect.require(
        "://" in entry.get("fullUrl", "") and entry["fullUrl"].endswith(f"/{target.type}/{made['id']}"),
        f"fullUrl is {entry.get('fullUrl')}",
    )
    expect.equal("total", body.get("total", 1), 1)


@check(AREA, "Nothing found is 200 with no entry", "http.html#search", *SEARCH)
def nothing(target: Target) -> None:
    body = target.search(target.type, ("_tag", target.tag))
    expect.equal("entries", len(expect.resources(body)), 0)
    expect.equal("total", body.get("total", 0), 0)


@check(
    AREA,
    "POST _search finds the same; parameters stand in the body and in the URL",
    "http.html#search",
    *SEARCH,
    "{type}?_id",
)
def post(target: Target) -> None:
    made = target.create()
    target.create()
    form = {"Content-Type": FORM}
    path = f"{target.type}/_search"
    both = urlencode({"_tag": target.tag, "_id": made["id"]})
    for body, query in ((both, {}), (urlencode({"_id": made["id"]}), {"_tag": target.tag})):
        answer = target.send("POST", path, body, form, query)
        found = expect.resources(expect.bundle(answer, "searchset"))
        expect.same("found", [each["id"] for each in found], [made["id"]])


@check(AREA, "Repeated parameters are and, commas are or", "search.html#3.1.1.4.17", *SEARCH, "{type}?_id")
def combined(target: Target) -> None:
    first, second = target.create(), target.create()
    ids = first["id"], second["id"]
    tag = ("_tag", target.tag)
    for values, expected in (
        ([f"{ids[0]},{ids[1]}"], ids),
        ([f"{ids[0]},{ids[1]}", ids[1]], ids[1:]),
        ([ids[0], ids[1]], ()),
    ):
        found = expect.resources(target.search(target.type, tag, *(("_id", value) for value in values)))
        expect.same(f"_id={'&_id='.join(values)}", [each["id"] for each in found], expected)


@check(
    AREA,
    "_lastUpdated finds by the time of the last change",
    "search.html#3.1.1.4.1",
    *SEARCH,
    "{type}?_lastUpdated",
)
def last_updated(target: Target) -> None:
    target.create()
    for value, expected in (("ge2020-01-01", 1), ("lt2020-01-01", 0), ("gt2999", 0)):
        found = target.search(target.type, ("_tag", target.tag), ("_lastUpdated", value))
        expect.equal(f"_lastUpdated={value}", len(found["entry"]), expected)


@check(AREA, "_security finds by label", "search.html#3.1.1.4.1", *SEARCH, "{type}?_security")
def security(target: Target) -> None:
    made = target.sample()
    label = {"system": "urn:conformance:label", "code": target.mark}
    target.send("POST", target.type, {**made, "meta": {**made["meta"], "security": [label]}})
    for value, expected in ((f"urn:conformance:label|{target.mark}", 1), (f"urn:other|{target.mark}", 0)):
        found = target.search(target.type, ("_security", value))
        expect.equal(f"_security={value}", len(found["entry"]), expected)


@check(
    AREA,
    "_profile finds by the profile claimed",
    "search.html#3.1.1.4.1",
    *SEARCH,
    "{type}?_profile",
    should=True,
)
def profile(target: Target) -> None:
    made = target.sample()
    url = f"http://hl7.org/fhir/StructureDefinition/{target.type}"
    target.send("POST", target.type, {**made, "meta": {**made["meta"], "profile": [url]}})
    for value, expected in ((url, 1), (f"{url}-other", 0)):
        found = target.search(target.type, ("_tag", target.tag), ("_profile", value))
        expect.equal(f"_profile={value}", len(found["entry"]), expected)


@check(AREA, "An unknown modifier is refused", "search.html#3.1.1.4.4", *SEARCH)
def unknown_modifier(target: Target) -> None:
    expect.outcome(target.get(target.type, {"_tag:conformance": target.tag}), 400)


@check(
    AREA,
    ":missing tells what has a value from what has none",
    "search.html#3.1.1.4.4",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
    "Patient?birthdate",
)
def missing(target: Target) -> None:
    without = target.create("Patient")
    having = target.create("Patient", birthDate="1980")
    for value, expected in (("true", without), ("false", having)):
        found = expect.resources(target.search("Patient", ("_tag", target.tag), ("birthdate:missing", value)))
        expect.same(f"birthdate:missing={value}", [each["id"] for each in found], [expected["id"]])


@check(AREA, "_count=0 and _summary=count count without entries", "search.html#3.1.1.5.3", *SEARCH)
def counted(target: Target) -> None:
    target.create()
    for query in (("_count", "0"), ("_summary", "count")):
        body = target.search(target.type, ("_tag", target.tag), query)
        expect.equal(f"{query}: entries", len(body["entry"]), 0)
        expect.equal(f"{query}: total", body.get("total"), 1)


@check(AREA, "_total=accurate gives the total", "search.html#3.1.1.5.2", *SEARCH, should=True)
def total(target: Target) -> None:
    for _ in range(3):
        target.create()
    body = target.search(target.type, ("_tag", target.tag), ("_total", "accurate"), ("_count", "2"))
    expect.equal("total", body.get("total"), 3)


@check(
    AREA,
    "_sort by a date, both ways, what has none included",
    "search.html#sort",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
    "Patient?birthdate",
    should=True,
)
def sort(target: Target) -> None:
    for year in ("1980", "1955", "2001", None):
        target.create("Patient", **({"birthDate": year} if year else {}))
    for rule, expected in (("birthdate", ["1955", "1980", "2001"]), ("-birthdate", ["2001", "1980", "1955"])):
        found = expect.resources(target.search("Patient", ("_tag", target.tag), ("_sort", rule)))
        years = [each["birthDate"] for each in found if "birthDate" in each]
        expect.equal(f"_sort={rule}", years, expected)
        expect.equal(f"_sort={rule}: resources, with the one that has no birthDate", len(found), 4)


@check(
    AREA,
    "_elements and _summary give marked parts",
    "search.html#3.1.1.5.9",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
    should=True,
)
def parts(target: Target) -> None:
    target.create("Patient", name=[{"family": "Durand"}], birthDate="1980", photo=[{"title": "x"}])
    for query, kept, left in (
        (("_elements", "birthDate"), {"birthDate"}, {"name", "photo"}),
        (("_summary", "true"), {"birthDate", "name"}, {"photo"}),
        (("_summary", "data"), {"birthDate", "photo"}, {"text"}),
        (("_summary", "text"), {"id", "meta"}, {"name", "photo", "birthDate"}),
    ):
        found = expect.resources(target.search("Patient", ("_tag", target.tag), query))[0]
        expect.require(kept <= found.keys(), f"{query}: {sorted(kept - found.keys())} left out")
        expect.require(not left & found.keys(), f"{query}: {sorted(left & found.keys())} given")
        tags = [tag.get("code") for tag in found["meta"].get("tag", ())]
        expect.require("SUBSETTED" in tags, f"{query}: no tag SUBSETTED")


@check(
    AREA,
    "Characters that mean something are escaped by a backslash",
    "search.html#3.1.1.4.19",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
    "Patient?identifier",
)
def escaped(target: Target) -> None:
    value = f"a,b|c$d\\e-{target.mark}"
    target.create("Patient", identifier=[{"system": "urn:conformance", "value": value}])
    text = value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
    for query, expected in ((f"urn:conformance|{text}", 1), ("urn:conformance|a", 0)):
        found = target.search("Patient", ("_tag", target.tag), ("identifier", query))
        expect.equal(f"identifier={query}", len(found["entry"]), expected)


@check(
    AREA,
    "Every claimed _include is answered",
    "search.html#include",
    "{type}/_include={item}",
    "{type}/search-type",
    each="claim",
)
def include(target: Target) -> None:
    target.search(target.type, ("_include", target.item), ("_count", "1"))


@check(
    AREA,
    "Every claimed _revinclude is answered",
    "search.html#revinclude",
    "{type}/_revinclude={item}",
    "{type}/search-type",
    each="claim",
)
def revinclude(target: Target) -> None:
    target.search(target.type, ("_revinclude", target.item), ("_count", "1"))


@check(
    AREA,
    "_include adds what a match refers to, once, as an include",
    "search.html#include",
    "Observation/_include=Observation:subject",
    "Observation/create",
    "Observation/search-type",
    "Observation?_tag",
    "Patient/create",
)
def included(target: Target) -> None:
    patient = target.create("Patient")
    subject = {"reference": f"Patient/{patient['id']}"}
    made = [target.create("Observation", subject=subject)["id"] for _ in range(2)]
    body = target.search("Observation", ("_tag", target.tag), ("_include", "Observation:subject"))
    expect.same("matches", [each["id"] for each in expect.resources(body)], made)
    expect.same("includes", [each["id"] for each in expect.resources(body, "include")], [patient["id"]])
    expect.equal("total", body.get("total", 2), 2)


@check(
    AREA,
    "_revinclude adds what refers to a match, as an include",
    "search.html#revinclude",
    "Patient/_revinclude=Observation:subject",
    "Observation/create",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
)
def reverse_included(target: Target) -> None:
    patient, other = target.create("Patient"), target.create("Patient")
    subject = {"reference": f"Patient/{patient['id']}"}
    made = [target.create("Observation", subject=subject)["id"] for _ in range(2)]
    body = target.search("Patient", ("_tag", target.tag), ("_revinclude", "Observation:subject"))
    expect.same("matches", [each["id"] for each in expect.resources(body)], [patient["id"], other["id"]])
    expect.same("includes", [each["id"] for each in expect.resources(body, "include")], made)


CHAIN = ("Observation/create", "Observation/search-type", "Observation?_tag", "Observation?subject")
PEOPLE = ("Patient/create", "Patient/search-type", "Patient?_tag", "Patient?family")


@check(AREA, "A chained parameter", "search.html#3.1.1.4.15", *CHAIN, *PEOPLE, should=True)
def chained(target: Target) -> None:
    made = observed(target)
    for name in ("subject:Patient.family", "subject.family", "subject:Patient._id"):
        value = made["patient"] if name.endswith("_id") else "durand"
        found = expect.resources(target.search("Observation", ("_tag", target.tag), (name, value)))
        expect.same(f"{name}={value}", [each["id"] for each in found], [made["observation"]])


@check(AREA, "A reverse chained parameter: _has", "search.html#3.1.1.4.16", *CHAIN, *PEOPLE, should=True)
def reverse_chained(target: Target) -> None:
    made = observed(target)
    for value, expected in ((target.tag, [made["patient"]]), ("urn:conformance|none", [])):
        query = ("_has:Observation:subject:_tag", value)
        found = expect.resources(target.search("Patient", ("_tag", target.tag), query))
        expect.same("=".join(query), [each["id"] for each in found], expected)


def observed(target: Target) -> dict[str, str]:
    """A patient named Durand with an observation; another patient, and an observation of nobody."""
    patient = target.create("Patient", name=[{"family": "Durand"}])["id"]
    target.create("Patient", name=[{"family": "Lefèvre"}])
    observation = target.create("Observation", subject={"reference": f"Patient/{patient}"})["id"]
    target.create("Observation")
    return {"patient": patient, "observation": observation}


@check(
    AREA,
    "The whole server is searched, by type with _type",
    "http.html#vsearch",
    "search-system",
    "Patient/create",
    "Patient?_tag",
    "Organization/create",
)
def system(target: Target) -> None:
    ids = {type: target.create(type)["id"] for type in ("Patient", "Organization")}
    for query, expected in (({}, ids.values()), ({"_type": "Patient"}, [ids["Patient"]])):
        body = expect.bundle(target.get("", {"_tag": target.tag, **query}), "searchset")
        expect.same(f"found {query}", [each["id"] for each in expect.resources(body)], list(expected))


OWNERS: dict[str, tuple[str, str]] = {
    "patient": ("Patient", "subject"),
    "encounter": ("Encounter", "encounter"),
    "practitioner": ("Practitioner", "performer"),
    "relatedperson": ("RelatedPerson", "performer"),
    "device": ("Device", "device"),
}
"""The resource that a compartment is of, and the element of an Observation that puts it in there."""


@check(
    AREA,
    "What belongs to a patient (an encounter, a device ...) is found in its compartment",
    "http.html#vsearch",
    "compartment:http://hl7.org/fhir/CompartmentDefinition/{item}",
    "Observation/create",
    "Observation?_tag",
    each="claim",
)
def compartment(target: Target) -> None:
    type, element = OWNERS[target.item]
    owner = target.create(type)
    reference = {"reference": f"{type}/{owner['id']}"}
    made = target.create("Observation", **{element: [reference] if element == "performer" else reference})
    target.create("Observation")
    for path in ("Observation", "*"):
        answer = target.get(f"{type}/{owner['id']}/{path}", {"_tag": target.tag})
        found = expect.resources(expect.bundle(answer, "searchset"))
        own = [each["id"] for each in found if each["resourceType"] == "Observation"]
        expect.same(f"{type}/[id]/{path}", own, [made["id"]])
