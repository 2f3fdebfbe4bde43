"""Binary: content as itself. https://hl7.org/fhir/R4/binary.html#rest"""

import base64

from conformance import expect
from conformance.checks import check
from conformance.client import JSON
from conformance.target import Target

AREA = "binary"
NEEDS = ("Binary/create", "Binary/read")
CONTENTS = (b"%PDF-1.4 conformance", bytes(range(256)) * 1200)


def stored(target: Target, content: bytes) -> str:
    answer = target.send("POST", "Binary", content, {"Content-Type": "application/pdf"})
    expect.status(answer, 201)
    return f"Binary/{target.location(answer)[0]}"


@check(AREA, "Content is posted raw and comes back the same, in its type", "binary.html#rest", *NEEDS)
def raw(target: Target) -> None:
    for content in CONTENTS:
        path = stored(target, content)
        for accept in ("application/pdf", "*/*"):
            answer = target.get(path, headers={"Accept": accept})
            expect.status(answer, 200)
            expect.equal("Content-Type", answer.media_type, "application/pdf")
            expect.require(answer.body == content, f"{len(answer.body)} bytes instead of {len(content)}")


@check(AREA, "It is a resource where a FHIR format is asked for", "binary.html#rest", *NEEDS)
def as_resource(target: Target) -> None:
    for content in CONTENTS:
        body = expect.resource(target.get(stored(target, content), headers={"Accept": JSON}), "Binary")
        expect.equal("contentType", body.get("contentType"), "application/pdf")
        expect.require(base64.b64decode(body["data"]) == content, "data is something else")


@check(AREA, "A resource that is posted is served as its content", "binary.html#rest", *NEEDS)
def from_resource(target: Target) -> None:
    data = base64.b64encode(CONTENTS[0]).decode()
    made = target.create("Binary", contentType="application/pdf", data=data)
    answer = target.get(f"Binary/{made['id']}", headers={"Accept": "application/pdf"})
    expect.require(answer.body == CONTENTS[0], f"{len(answer.body)} bytes instead of {len(CONTENTS[0])}")


@check(AREA, "X-Security-Context becomes securityContext", "binary.html#rest", *NEEDS, "Patient/create")
def security_context(target: Target) -> None:
    patient = f"Patient/{target.create('Patient')['id']}"
    headers = {"Content-Type": "text/plain", "X-Security-Context": patient}
    answer = target.send("POST", "Binary", b"conformance", headers)
    expect.status(answer, 201)
    body = expect.resource(target.get(f"Binary/{target.location(answer)[0]}"), "Binary")
    context = body.get("securityContext", {}).get("reference", "")
    expect.require(context.endswith(patient), f"securityContext is {context or 'absent'}")


@check(AREA, "Content is updated raw", "binary.html#rest", *NEEDS, "Binary/update")
def update(target: Target) -> None:
    path = stored(target, CONTENTS[0])
    expect.status(target.send("PUT", path, b"later", {"Content-Type": "text/plain"}), 200)
    answer = target.get(path, headers={"Accept": "*/*"})
    expect.equal("content", (answer.media_type, answer.body), ("text/plain", b"later"))


@check(AREA, "A range of content, where the server says that it serves ranges", "binary.html#rest", *NEEDS)
def byte_range(target: Target) -> None:
    content = CONTENTS[1]
    path = stored(target, content)
    whole = target.get(path, headers={"Accept": "*/*"})
    if whole.headers.get("accept-ranges", "none").lower() != "bytes":
        raise expect.NotOffered
    for asked, expected in (("bytes=10-19", content[10:20]), ("bytes=-5", content[-5:])):
        answer = target.get(path, headers={"Accept": "*/*", "Range": asked})
        expect.status(answer, 206)
        expect.equal(asked, answer.body, expected)
        expect.header(answer, "Content-Range")
    beyond = target.get(path, headers={"Accept": "*/*", "Range": f"bytes={len(content)}-"})
    expect.status(beyond, 416)
