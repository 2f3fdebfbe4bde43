"""Refusals, each with an OperationOutcome. https://hl7.org/fhir/R4/http.html#3.1.0.1.5"""

import json
from typing import Any

from conformance import expect
from conformance.checks import check
from conformance.client import JSON, XML
from conformance.target import Target

AREA = "errors"

MALFORMED: dict[str, str | bytes] = {
    "nothing": "",
    "half an object": "{",
    "an array": "[]",
    "null": "null",
    "no resourceType": '{"active":true}',
    "a name twice": '{"resourceType":"Patient","active":true,"active":false}',
    "no UTF-8": b'{"resourceType":"Patient","id":"\xff"}',
    "very deep": '{"resourceType":"Patient","extension":' + "[" * 20_000 + "]" * 20_000 + "}",
    "a property that is null": '{"resourceType":"Patient","active":null}',
    "an empty array": '{"resourceType":"Patient","name":[]}',
    "an empty object": '{"resourceType":"Patient","maritalStatus":{}}',
}

INVALID: dict[str, dict[str, Any]] = {
    "an unknown element": {"conformance": "x"},
    "a code outside of a required binding": {"gender": "conformance"},
    "a date that does not exist": {"birthDate": "1980-02-30"},
    "a string for a boolean": {"active": "true"},
    "an object for an array": {"name": {"family": "Durand"}},
    "two of a choice": {"deceasedBoolean": True, "deceasedDateTime": "2020"},
    "a broken invariant (pat-1)": {"contact": [{"gender": "female"}]},
    "active content in the narrative": {
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>',
        }
    },
}

XML_ATTACKS = {
    "an external entity": '<!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<Patient xmlns="http://hl7.org/fhir"><id value="&x;"/></Patient>',
    "entities of entities": '<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<Patient xmlns="http://hl7.org/fhir"><id value="&b;"/></Patient>',
    "half a document": '<Patient xmlns="http://hl7.org/fhir"><name>',
    "no namespace": "<Patient><active value='true'/></Patient>",
}


@check(AREA, "A type that is none is 404", "http.html#read")
def unknown_type(target: Target) -> None:
    for path in ("Conformance/1", "Conformance"):
        expect.outcome(target.get(path), 400, 404)


@check(AREA, "What is malformed is 400", "http.html#create", "Patient/create")
def malformed(target: Target) -> None:
    wrong = []
    for what, body in MALFORMED.items():
        answer = target.send("POST", "Patient", body, {"Content-Type": JSON})
        if answer.status not in (400, 422):
            wrong.append(f"{what} is {answer.status}")
        else:
            expect.outcome(answer, 400, 422)
    expect.require(not wrong, "; ".join(wrong))


@check(AREA, "What is invalid is 400 or 422, and the issue says where", "http.html#create", "Patient/create")
def invalid(target: Target) -> None:
    wrong = []
    for what, elements in INVALID.items():
        answer = target.send("POST", "Patient", target.sample("Patient", **elements))
        if answer.status not in (400, 422):
            wrong.append(f"{what} is {answer.status}")
            continue
        issues = expect.outcome(answer, 400, 422)["issue"]
        if not any(issue.get("expression") or issue.get("location") for issue in issues):
            wrong.append(f"{what}: no expression")
    expect.require(not wrong, "; ".join(wrong))


@check(
    AREA,
    "XML that attacks or is malformed is refused",
    "security.html#narrative",
    "Patient/create",
    "format:{xml}",
)
def xml_attacks(target: Target) -> None:
    for what, body in XML_ATTACKS.items():
        answer = target.send("POST", "Patient", body, {"Content-Type": XML})
        expect.require(400 <= answer.status < 500, f"{what} is {answer.status}")
        expect.require("root:" not in answer.text, f"{what}: the file is in the answer")


@check(AREA, "A method that is not possible is 405", "http.html#3.1.0.1.5")
def method(target: Target) -> None:
    expect.status(target.request("PUT", "metadata", body=b"{}", headers={"Content-Type": JSON}), 404, 405)
    expect.status(target.request("DELETE", "metadata"), 404, 405)


@check(AREA, "Refusals speak of no other place than the request's", "http.html#3.1.0.1.5", "{type}/read")
def quiet(target: Target) -> None:
    for path in (f"{target.type}/{target.mark}", "Conformance/1"):
        text = target.get(path).text
        for trace in ("Traceback (most recent", ".java:", "\tat ", 'File "/'):
            expect.require(trace not in text, f"{path}: the answer has a stack trace")


@check(AREA, "A body that is large is stored or refused, never a crash", "http.html#create", "Patient/create")
def large(target: Target) -> None:
    names = [{"family": f"Durand {number}", "given": ["x" * 40]} for number in range(5000)]
    body = json.dumps(target.sample("Patient", name=names))
    expect.status(target.send("POST", "Patient", body, {"Content-Type": JSON}), 201, 413)
