"""Large ``Attachment.data`` over the wire: it becomes a Binary, and nothing is lost."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

MIB = 1024 * 1024
CONTENT = hashlib.sha512(b"letter").digest() * (3 * MIB // 64)
FHIR_JSON = {"Accept": "application/fhir+json"}
LIMIT = 300
LARGE = CONTENT[: LIMIT + 1]


@pytest.fixture(scope="module")
def low(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    """A server where more than 300 bytes are large."""
    options = {"attachment_inline": LIMIT, "admin_operations": True, "document_patch": "any"}
    with (
        serve(make_settings(http_port=free_port(), **options)) as live,
        httpx2.Client(base_url=live.base_url, timeout=30) as client,
    ):
        yield client


def attachment(content: bytes = CONTENT, **more: Any) -> dict[str, Any]:
    return {"contentType": "application/pdf", "data": base64.b64encode(content).decode(), **more}


def document(*attachments: dict[str, Any], **more: Any) -> dict[str, Any]:
    contents = [{"attachment": each} for each in attachments or (attachment(title="Letter"),)]
    return {"resourceType": "DocumentReference", "status": "current", "content": contents, **more}


def check(client: httpx2.Client, kept: dict[str, Any], owner: str, content: bytes = CONTENT) -> str:
    """The attachment points to a Binary with the content; gives the Binary's reference."""
    assert "data" not in kept
    assert kept["size"] == len(content)
    assert base64.b64decode(kept["hash"]) == hashlib.sha1(content).digest()
    raw = client.get(f"/{kept['url']}")
    assert raw.content == content
    assert raw.headers["content-type"] == kept["contentType"]
    assert raw.headers["x-security-context"] == owner
    body = client.get(f"/{kept['url']}", headers=FHIR_JSON).json()
    assert base64.b64decode(body["data"]) == content
    assert body["securityContext"] == {"reference": owner}
    return str(kept["url"])


def version(client: httpx2.Client, reference: str) -> str:
    return str(client.get(f"/{reference}", headers=FHIR_JSON).json()["meta"]["versionId"])


def new() -> str:
    return str(uuid.uuid4())


def test_create(client: httpx2.Client) -> None:
    answer = client.post("/DocumentReference", json=document())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    kept = body["content"][0]["attachment"]
    assert kept["title"] == "Letter"
    check(client, kept, f"DocumentReference/{body['id']}")
    assert client.get(f"/DocumentReference/{body['id']}").json() == body


def test_update_twice_changes_nothing(client: httpx2.Client) -> None:
    id = new()
    url, body = f"/DocumentReference/{id}", document(id=id)
    first = client.put(url, json=body)
    assert first.status_code == 201
    binary = check(client, first.json()["content"][0]["attachment"], url[1:])
    second = client.put(url, json=body, headers={"If-Match": 'W/"1"'})
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"1"')
    assert second.json() == first.json()
    assert client.put(url, json=first.json()).headers["etag"] == 'W/"1"', "what was read, too"
    assert version(client, binary) == "1"
    assert client.put(url, json=body, headers={"If-Match": 'W/"7"'}).status_code == 412


def test_other_content_is_another_binary(low: httpx2.Client) -> None:
    id = new()
    url = f"/DocumentReference/{id}"
    old = low.put(url, json=document(attachment(LARGE), id=id)).json()["content"][0]["attachment"]
    changed = low.put(url, json=document(attachment(LARGE[:-1] + b"?"), id=id))
    assert changed.headers["etag"] == 'W/"2"'
    kept = changed.json()["content"][0]["attachment"]
    assert check(low, kept, url[1:], LARGE[:-1] + b"?") != old["url"]
    before = low.get(f"{url}/_history/1").json()["content"][0]["attachment"]
    check(low, before, url[1:], LARGE)


@pytest.mark.parametrize("lost", ["deleted", "replaced"])
def test_content_that_is_gone_comes_back_when_written_again(low: httpx2.Client, lost: str) -> None:
    id = new()
    url, body = f"/DocumentReference/{id}", document(attachment(LARGE), id=id)
    binary = low.put(url, json=body).json()["content"][0]["attachment"]["url"]
    if lost == "deleted":
        assert low.delete(f"/{binary}").status_code == 204
    else:
        low.put(f"/{binary}", content=b"other", headers={"Content-Type": "text/plain"})
    again = low.put(url, json=body)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')
    check(low, again.json()["content"][0]["attachment"], url[1:], LARGE)


def test_labels_of_the_binary_are_kept(low: httpx2.Client) -> None:
    id = new()
    url, body = f"/DocumentReference/{id}", document(attachment(LARGE), id=id)
    binary = low.put(url, json=body).json()["content"][0]["attachment"]["url"]
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [label]}}]}
    assert low.post(f"/{binary}/$meta-add", json=meta).status_code == 200
    for status in ("current", "superseded"):
        assert low.put(url, json=body | {"status": status}).status_code == 200
        assert low.get(f"/{binary}", headers=FHIR_JSON).json()["meta"]["security"] == [label]


def test_patch(low: httpx2.Client) -> None:
    body = low.post("/DocumentReference", json=document(attachment(b"small"))).json()
    url = f"/DocumentReference/{body['id']}"
    change = [{"op": "replace", "path": "/content/0/attachment/data", "value": attachment(LARGE)["data"]}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = low.patch(url, json=change, headers=headers)
    assert answer.status_code == 200, answer.text
    check(low, answer.json()["content"][0]["attachment"], url[1:], LARGE)


def test_transaction(client: httpx2.Client) -> None:
    name, id = f"urn:uuid:{new()}", new()
    entries = [
        {
            "fullUrl": name,
            "resource": document(),
            "request": {"method": "POST", "url": "DocumentReference"},
        },
        {
            "resource": document(id=id, relatesTo=[{"code": "replaces", "target": {"reference": name}}]),
            "request": {"method": "PUT", "url": f"DocumentReference/{id}"},
        },
    ]
    answer = client.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    urls = set()
    for entry in answer.json()["entry"]:
        owner = "/".join(entry["response"]["location"].split("/")[-4:-2])
        urls.add(check(client, client.get(f"/{owner}").json()["content"][0]["attachment"], owner))
    assert len(urls) == 2, "each with a security context of its own"


def test_a_transaction_again_and_one_with_the_binary_itself(low: httpx2.Client) -> None:
    id = new()
    url = f"DocumentReference/{id}"

    def send(resource: dict[str, Any], *others: dict[str, Any]) -> httpx2.Response:
        entry = {"resource": resource, "request": {"method": "PUT", "url": url}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, *others]}
        return low.post("/", json=bundle)

    for status in ("201 Created", "200 OK"):
        sent = send(document(attachment(LARGE), id=id)).json()["entry"][0]["response"]
        assert (sent["status"], sent["etag"]) == (status, 'W/"1"')
    binary = low.get(f"/{url}").json()["content"][0]["attachment"]["url"]
    assert version(low, binary) == "1"
    both = send(document(attachment(LARGE), id=id), {"request": {"method": "DELETE", "url": binary}})
    assert both.status_code == 400, both.text
    assert both.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]


def test_xml(client: httpx2.Client) -> None:
    body = (
        '<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/><content><attachment>'
        f'<contentType value="application/pdf"/><data value="{attachment()["data"]}"/>'
        "</attachment></content></DocumentReference>"
    )
    headers = {"Content-Type": "application/fhir+xml"}
    answer = client.post("/DocumentReference", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    kept = answer.json()["content"][0]["attachment"]
    check(client, kept, f"DocumentReference/{answer.json()['id']}")


def test_beyond_the_largest_resource(client: httpx2.Client) -> None:
    content = CONTENT * 5
    answer = client.post("/DocumentReference", json=document(attachment(content), attachment()))
    assert answer.status_code == 201, answer.text
    owner = f"DocumentReference/{answer.json()['id']}"
    first, second = (each["attachment"] for each in answer.json()["content"])
    check(client, first, owner, content)
    check(client, second, owner)


EXTENSION = {"url": "http://example.org/scan", "valueAttachment": attachment(LARGE)}
CONTAINED = {"resourceType": "Practitioner", "id": "p", "photo": [attachment(LARGE)]}


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ({"resourceType": "Patient", "photo": [attachment(b"x"), attachment(LARGE)]}, ["photo", 1]),
        ({"resourceType": "Patient", "extension": [EXTENSION]}, ["extension", 0, "valueAttachment"]),
        (
            {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"extension": [EXTENSION]}},
            ["_birthDate", "extension", 0, "valueAttachment"],
        ),
        (
            document(
                {"url": "http://example.org/1", "contentType": "text/plain"},
                contained=[CONTAINED],
                author=[{"reference": "#p"}],
            ),
            ["contained", 0, "photo", 0],
        ),
        (
            document({"title": "none", "extension": [EXTENSION]}),
            ["content", 0, "attachment", "extension", 0, "valueAttachment"],
        ),
    ],
    ids=["photo", "extension", "of a primitive", "contained", "in an attachment"],
)
def test_wherever_it_is(low: httpx2.Client, resource: dict[str, Any], path: list[Any]) -> None:
    answer = low.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    kept: Any = body
    for step in path:
        kept = kept[step]
    check(low, kept, f"{body['resourceType']}/{body['id']}", LARGE)


@pytest.mark.parametrize(
    "given",
    [
        attachment(CONTENT[:LIMIT]),
        attachment(LARGE, url="http://example.org/1"),
        {"contentType": "text/plain", "url": "http://example.org/1", "title": "x" * 1000},
    ],
    ids=["small", "with a url", "no data"],
)
def test_what_stays(low: httpx2.Client, given: dict[str, Any]) -> None:
    count = low.get("/Binary?_summary=count").json()["total"]
    body = low.post("/DocumentReference", json=document(given)).json()
    assert body["content"][0]["attachment"] == given
    assert low.get("/Binary?_summary=count").json()["total"] == count


def test_documents_stay_whole(low: httpx2.Client) -> None:
    entry = {"fullUrl": f"urn:uuid:{new()}", "resource": document(attachment(LARGE))}
    body = low.post("/Bundle", json={"resourceType": "Bundle", "type": "collection", "entry": [entry]}).json()
    assert body["entry"] == [entry]


def test_hash_and_size_that_are_given_are_kept(low: httpx2.Client) -> None:
    given = attachment(LARGE, size=len(LARGE), hash="AAAA")
    kept = low.post("/DocumentReference", json=document(given)).json()["content"][0]["attachment"]
    assert (kept["size"], kept["hash"]) == (len(LARGE), "AAAA")
    assert low.get(f"/{kept['url']}").content == LARGE


def test_a_refused_transaction_leaves_no_binary(low: httpx2.Client) -> None:
    count = low.get("/Binary?_summary=count").json()["total"]
    link = [{"code": "replaces", "target": {"reference": f"DocumentReference/{new()}"}}]
    entries = [
        {"resource": document(attachment(LARGE), **more), "request": {"method": "POST", "url": type}}
        for type, more in (("DocumentReference", {}), ("DocumentReference", {"relatesTo": link}))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert low.post("/", json=bundle).status_code == 422
    assert low.get("/Binary?_summary=count").json()["total"] == count


def test_equal_content_of_a_resource_is_stored_once_per_type(low: httpx2.Client) -> None:
    given = [attachment(LARGE), attachment(LARGE, title="again"), attachment(LARGE) | {"contentType": "a/b"}]
    body = low.post("/DocumentReference", json=document(*given)).json()
    owner = f"DocumentReference/{body['id']}"
    urls = [check(low, each["attachment"], owner, LARGE) for each in body["content"]]
    assert urls[0] == urls[1] != urls[2]


def test_a_versioned_link_to_what_does_not_change(low: httpx2.Client) -> None:
    """The version that an unchanged resource keeps is known before it is written."""
    id, name = new(), f"http://example.org/fhir/DocumentReference/{new()}"
    low.put(f"/DocumentReference/{id}", json=document(attachment(LARGE), id=id))
    link = [{"code": "replaces", "target": {"reference": f"{name}/_history/1"}}]
    entries = [
        {
            "fullUrl": name,
            "resource": document(attachment(LARGE), id=id),
            "request": {"method": "PUT", "url": f"DocumentReference/{id}"},
        },
        {
            "resource": document(attachment(b"x"), relatesTo=link),
            "request": {"method": "POST", "url": "DocumentReference"},
        },
    ]
    headers = {"Prefer": "return=representation"}
    answer = low.post(
        "/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][1]["response"]["location"].split("/")[-3]
    target = low.get(f"/DocumentReference/{location}").json()["relatesTo"][0]["target"]["reference"]
    assert target == f"DocumentReference/{id}/_history/1"


def test_a_purge_removes_the_binaries_of_every_version(low: httpx2.Client) -> None:
    patient, id = new(), new()
    low.put(f"/Patient/{patient}", json={"resourceType": "Patient", "id": patient})
    about = {"id": id, "subject": {"reference": f"Patient/{patient}"}}
    urls = [
        low.put(f"/DocumentReference/{id}", json=document(attachment(content), **about)).json()["content"][0][
            "attachment"
        ]["url"]
        for content in (LARGE, LARGE + b"?")
    ]
    assert [low.get(f"/{url}").status_code for url in urls] == [200, 200]
    assert low.post(f"/Patient/{patient}/$purge").status_code == 200
    assert [low.get(f"/{url}").status_code for url in urls] == [404, 404]
