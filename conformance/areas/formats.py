"""JSON and XML, and that neither loses anything. https://hl7.org/fhir/R4/http.html#mime-type"""

import json
import re
from decimal import Decimal

from conformance import expect
from conformance.checks import check
from conformance.client import JSON, XML, Answer
from conformance.target import Target

AREA = "formats"
KINDS = {
    "json": "json",
    "application/json": "json",
    "application/fhir+json": "json",
    "text/json": "json",
    "xml": "xml",
    "application/xml": "xml",
    "application/fhir+xml": "xml",
    "text/xml": "xml",
    "ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/fhir+ndjson": "ndjson",
    "ttl": "turtle",
    "text/turtle": "turtle",
    "application/fhir+turtle": "turtle",
}
DECIMALS = ("1.10", "100.00", "0.000000000000000001", "12345678901234567890.123456789", "-3.5")
AS_XML = {"Accept": XML}
PATIENT = ("Patient/create", "Patient/read")


def is_xml(answer: Answer, name: str) -> str:
    """The text of an XML body whose root is this."""
    expect.require("xml" in answer.media_type, f"{answer.path}: Content-Type {answer.media_type}")
    root = re.compile(rf"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<{name}\s[^>]*http://hl7.org/fhir")
    expect.require(root.match(answer.text), f"{answer.path}: no {name} in XML: {answer.text[:80]!r}")
    return answer.text


@check(
    AREA,
    "Every claimed format is made, by _format and by Accept",
    "http.html#mime-type",
    "format:{item}",
    each="claim",
)
def claimed(target: Target) -> None:
    kind = KINDS.get(target.item, target.item)
    answers = [target.get("metadata", {"_format": target.item})]
    if "/" in target.item:
        answers.append(target.get("metadata", headers={"Accept": target.item}))
    for answer in answers:
        if kind == "ndjson":  # a format of search results
            expect.require(answer.status in (200, 406), f"{target.item} is {answer.status}")
            continue
        expect.status(answer, 200)
        expect.require(kind in answer.media_type, f"{target.item} is answered in {answer.media_type}")


@check(
    AREA,
    "_format wins over Accept; an unescaped + is understood",
    "http.html#3.1.0.1.11",
    "format:{item}",
    each="claim",
    should=True,
)
def format_wins(target: Target) -> None:
    kind = KINDS.get(target.item)
    if kind not in ("json", "xml"):
        raise expect.NotOffered
    other = XML if kind == "json" else JSON
    answer = target.get(f"metadata?_format={target.item}", headers={"Accept": other})
    expect.status(answer, 200)
    expect.require(kind in answer.media_type, f"_format={target.item} is answered in {answer.media_type}")


@check(
    AREA,
    "An Accept that cannot be served is 406, a body that cannot be read 415",
    "http.html#mime-type",
    "{type}/create",
    "{type}/search-type",
    should=True,
)
def not_acceptable(target: Target) -> None:
    expect.status(target.get(target.type, headers={"Accept": "image/png"}), 406)
    body, headers = json.dumps(target.sample()), {"Content-Type": "text/csv"}
    expect.status(target.send("POST", target.type, body, headers), 415)


@check(AREA, "Accept is a list with qualities", "http.html#mime-type", "{type}/search-type")
def qualities(target: Target) -> None:
    for accept in (f"text/html;q=0.9, {JSON};q=0.8", "*/*", f"image/png, {JSON};q=0.1"):
        expect.status(target.get(target.type, headers={"Accept": accept}), 200)


@check(
    AREA,
    "XML is created, read, searched, refused in XML",
    "xml.html",
    "format:{xml}",
    *PATIENT,
    "Patient/search-type",
    "Patient?_tag",
)
def xml(target: Target) -> None:
    body = (
        '<Patient xmlns="http://hl7.org/fhir"><meta><tag><system value="urn:conformance"/>'
        f'<code value="{target.mark}"/></tag></meta><name><family value="Lefèvre &amp; &lt;Fils&gt;"/></name>'
        '<birthDate value="1980-02"/></Patient>'
    )
    answer = target.send("POST", "Patient", body, {"Content-Type": XML, "Accept": XML})
    expect.status(answer, 201)
    path = f"Patient/{target.location(answer)[0]}"
    is_xml(target.get(path, headers=AS_XML), "Patient")
    is_xml(target.get("Patient", {"_tag": target.tag}, AS_XML), "Bundle")
    is_xml(target.get(f"Patient/{target.mark}", headers=AS_XML), "OperationOutcome")
    stored = expect.resource(target.get(path), "Patient")
    expect.equal("family", stored["name"][0]["family"], "Lefèvre & <Fils>")


@check(AREA, "JSON to XML to JSON loses nothing", "formats.html", "format:{xml}", *PATIENT, "Patient/update")
def lossless(target: Target) -> None:
    extension = {"url": "http://conformance.test/x", "valueString": "é\u00a0😀"}
    sent = target.sample(
        "Patient",
        text={
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>a &lt; b &amp; <b>c</b></p></div>',
        },
        contained=[{"resourceType": "Organization", "id": "o", "name": "O"}],
        managingOrganization={"reference": "#o"},
        extension=[extension],
        name=[
            {
                "family": "Durand",
                "given": ["Jean", None, "Luc"],
                "_given": [None, {"extension": [extension]}, None],
            }
        ],
        _birthDate={"extension": [extension]},
        multipleBirthInteger=2,
        active=False,
    )
    answer = target.send("POST", "Patient", sent)
    expect.status(answer, 201)
    path = f"Patient/{target.location(answer)[0]}"
    before = expect.resource(target.get(path), "Patient")
    text = is_xml(target.get(path, headers=AS_XML), "Patient")
    expect.status(target.send("PUT", path, text, {"Content-Type": XML}), 200)
    after = expect.resource(target.get(path), "Patient")
    for body in (before, after):
        body["meta"] = {"tag": body["meta"].get("tag")}
    for element in sorted(before.keys() | after.keys()):
        expect.equal(element, after.get(element), before.get(element))


@check(AREA, "Decimals keep their digits", "json.html#primitive", "Observation/create", "Observation/read")
def decimals(target: Target) -> None:
    extensions = ",".join(
        f'{{"url":"http://conformance.test/{i}","valueDecimal":{digits}}}'
        for i, digits in enumerate(DECIMALS)
    )
    text = json.dumps(target.sample("Observation"))
    body = f'{text[:-1]},"extension":[{extensions}]}}'
    answer = target.send("POST", "Observation", body, {"Content-Type": JSON})
    expect.status(answer, 201)
    text = target.get(f"Observation/{target.location(answer)[0]}").text
    stored = json.loads(text, parse_float=Decimal)
    found = [str(each["valueDecimal"]) for each in stored["extension"]]
    # The text of a Decimal has value and precision: 1E-18 and 0.000000000000000001 are the same, 1.1 and
    # 1.10 are not.
    expect.equal("decimals", found, [str(Decimal(digits)) for digits in DECIMALS])


@check(AREA, "JSON says that it is FHIR, in UTF-8", "http.html#mime-type", *PATIENT)
def media_type(target: Target) -> None:
    made = target.create("Patient", name=[{"family": "Œdipe 😀"}])
    answer = target.get(f"Patient/{made['id']}")
    expect.equal("Content-Type", answer.media_type, JSON)
    expect.equal("family", expect.resource(answer, "Patient")["name"][0]["family"], "Œdipe 😀")
    generic = target.get(f"Patient/{made['id']}", headers={"Accept": "application/json"})
    expect.require("json" in generic.media_type, f"Accept application/json gives {generic.media_type}")


@check(AREA, "A fhirVersion in the media types is understood", "http.html#3.1.0.1.10", *PATIENT)
def version_parameter(target: Target) -> None:
    versioned = f"{JSON}; fhirVersion=4.0"
    body = json.dumps(target.sample("Patient"))
    answer = target.send("POST", "Patient", body, {"Content-Type": versioned, "Accept": versioned})
    expect.status(answer, 201)


@check(AREA, "_pretty is taken", "http.html#3.1.0.1.11", *PATIENT)
def pretty(target: Target) -> None:
    made = target.create("Patient")
    for value in ("true", "false"):
        expect.resource(target.get(f"Patient/{made['id']}", {"_pretty": value}), "Patient")


@check(
    AREA,
    "A search as NDJSON: a resource on every line",
    "async.html#3.1.6.5",
    "format:application/fhir+ndjson",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
)
def ndjson(target: Target) -> None:
    made = [target.create("Patient")["id"] for _ in range(3)]
    answer = target.get("Patient", {"_tag": target.tag}, {"Accept": "application/fhir+ndjson"})
    expect.status(answer, 200)
    expect.equal("Content-Type", answer.media_type, "application/fhir+ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    expect.same("ids", [line["id"] for line in lines], made)
