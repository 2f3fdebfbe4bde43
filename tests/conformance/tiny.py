"""A FHIR server of one type in memory, right in what it does, until it is given a defect.

It proves that checks can fail: what the checks say of it with and without a defect differs by that defect.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Resource = dict[str, Any]

STAMP = "Sun, 22 Nov 2026 12:00:00 GMT"
STATEMENT: Resource = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "date": "2026-11-22",
    "kind": "instance",
    "software": {"name": "tiny"},
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "Patient",
                    "interaction": [
                        {"code": code}
                        for code in ("read", "vread", "create", "update", "delete", "history-instance")
                    ]
                    + [{"code": "search-type"}],
                    "versioning": "versioned-update",
                    "readHistory": True,
                    "conditionalCreate": True,
                    "searchParam": [{"name": "_tag", "type": "token"}, {"name": "_id", "type": "token"}],
                }
            ],
        }
    ],
}


class Tiny:
    """The store: every version of every patient; ``defect`` names what is wrong with it."""

    def __init__(self, defect: str = "") -> None:
        self.defect = defect
        self.versions: dict[str, list[tuple[str, Resource | None]]] = {}
        self.lock = threading.RLock()
        self.base = ""

    def current(self, id: str) -> Resource | None:
        versions = self.versions.get(id)
        return versions[-1][1] if versions else None

    def put(self, method: str, id: str, resource: Resource | None) -> int:
        versions = self.versions.setdefault(id, [])
        number = len(versions) + 1
        if resource is not None:
            marks = {"versionId": str(number), "lastUpdated": "2026-11-22T12:00:00Z"}
            resource = {**resource, "id": id, "meta": {**resource.get("meta", {}), **marks}}
        versions.append((method, resource))
        return number

    def matching(self, pairs: list[tuple[str, str]]) -> list[Resource]:
        found = []
        for versions in self.versions.values():
            alive = [resource for _, resource in versions if resource is not None]
            resource = versions[-1][1]
            if resource is None and self.defect == "search finds deleted":
                resource = alive[-1]
            if resource is not None and all(self._matches(resource, *pair) for pair in pairs):
                found.append(resource)
        return found

    def _matches(self, resource: Resource, name: str, value: str) -> bool:
        if self.defect == "search ignores its parameters":
            return True
        if name == "_id":
            return resource["id"] in value.split(",")
        tags = resource["meta"].get("tag", [])
        return f"{tags[0]['system']}|{tags[0]['code']}" == value if tags else False


class Handler(BaseHTTPRequestHandler):
    """The REST API below /fhir."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    tiny: Tiny

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a test reads what it gets."""

    def handle_any(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.body = self.rfile.read(length)
        url = urlsplit(self.path)
        self.query = parse_qsl(url.query, keep_blank_values=True)
        with self.tiny.lock:
            self.route(url.path.removeprefix("/fhir").strip("/").split("/"))

    # http.server calls these by name
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

    def route(self, path: list[str]) -> None:
        defect = self.tiny.defect
        match (self.command, path):
            case ("GET" | "HEAD", ["metadata"]):
                self.answer(200, STATEMENT)
            case ("GET", ["Patient", id]):
                self.read(id)
            case ("GET", ["Patient", id, "_history", vid]):
                self.vread(id, vid)
            case ("GET", ["Patient", id, "_history"]):
                self.history(id)
            case ("POST", ["Patient"]):
                self.create()
            case ("PUT", ["Patient", id]):
                self.update(id)
            case ("DELETE", ["Patient", id]):
                if self.tiny.current(id) and defect != "delete does nothing":
                    self.tiny.put("DELETE", id, None)
                self.answer(204)
            case ("GET", ["Patient"]):
                self.search(self.query)
            case ("POST", ["Patient", "_search"]):
                self.search([*self.query, *parse_qsl(self.body.decode())])
            case _:
                self.refuse(404, "not-found")

    def read(self, id: str) -> None:
        resource = self.tiny.current(id)
        if resource is not None:
            self.answer(200, resource, self.versioned(resource))
        elif id not in self.tiny.versions:
            self.refuse(200 if self.tiny.defect == "unknown is 200" else 404, "not-found")
        else:
            self.refuse(404 if self.tiny.defect == "deleted is 404" else 410, "deleted")

    def vread(self, id: str, vid: str) -> None:
        versions = self.tiny.versions.get(id, [])
        if not vid.isdigit() or not 0 < int(vid) <= len(versions):
            self.refuse(404, "not-found")
        elif (resource := versions[int(vid) - 1][1]) is None:
            self.refuse(410, "deleted")
        else:
            shown = self.tiny.current(id) if self.tiny.defect == "every version is the last" else resource
            self.answer(200, shown, self.versioned(resource))

    def history(self, id: str) -> None:
        versions = self.tiny.versions.get(id)
        if not versions:
            self.refuse(404, "not-found")
            return
        entries = []
        for number, (method, resource) in enumerate(versions, start=1):
            entry: Resource = {
                "request": {"method": method, "url": "Patient"},
                "response": {"status": "200", "etag": f'W/"{number}"'},
            }
            entries.append(entry | ({"resource": resource} if resource else {}))
        if self.tiny.defect != "history is oldest first":
            entries.reverse()
        self.answer(200, {"resourceType": "Bundle", "type": "history", "entry": entries})

    def create(self) -> None:
        try:
            resource = json.loads(self.body)
        except (ValueError, RecursionError):
            self.refuse(500 if self.tiny.defect == "malformed is 500" else 400, "structure")
            return
        if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
            self.refuse(400, "invalid")
            return
        if criteria := self.headers.get("if-none-exist"):
            found = self.tiny.matching(parse_qsl(criteria))
            if len(found) > 1:
                self.refuse(412, "multiple-matches")
                return
            if found and self.tiny.defect != "conditional create creates":
                self.answer(200, found[0], self.versioned(found[0]))
                return
        id = f"p{len(self.tiny.versions)}"
        if self.tiny.defect == "the client's id is taken":
            id = resource.get("id", id)
        self.tiny.put("POST", id, resource)
        made = self.tiny.current(id)
        assert made is not None
        headers = self.versioned(made) | {"Location": f"{self.tiny.base}/Patient/{id}/_history/1"}
        if self.tiny.defect == "no Location":
            del headers["Location"]
        self.answer(201, made, headers)

    def update(self, id: str) -> None:
        resource = json.loads(self.body)
        if resource.get("id") != id and self.tiny.defect != "any id is updated":
            self.refuse(400, "invalid")
            return
        before = self.tiny.current(id)
        condition = self.headers.get("if-match")
        current = f'W/"{before["meta"]["versionId"]}"' if before else ""
        if condition and condition != current and self.tiny.defect != "If-Match is ignored":
            self.refuse(412, "conflict")
            return
        if self.tiny.defect == "update answers and forgets":
            self.answer(200, resource, {"ETag": 'W/"99"', "Last-Modified": STAMP})
            return
        self.tiny.put("PUT", id, resource)
        made = self.tiny.current(id)
        assert made is not None
        self.answer(200 if before else 201, made, self.versioned(made))

    def search(self, pairs: list[tuple[str, str]]) -> None:
        defect = self.tiny.defect
        if any(name.partition(":")[0] not in ("_tag", "_id", "_count", "_at") for name, _ in pairs):
            self.refuse(400, "not-supported")
            return
        if any(":" in name for name, _ in pairs) and defect != "modifiers are ignored":
            self.refuse(400, "not-supported")
            return
        controls = dict(pairs)
        begin, count = int(controls.get("_at", 0)), int(controls.get("_count", 10))
        found = self.tiny.matching([pair for pair in pairs if pair[0] in ("_tag", "_id")])
        page = found[begin : begin + count + (defect == "_count is exceeded")]
        query = "&".join(f"{name}={value}" for name, value in pairs if name != "_at")
        bundle: Resource = {
            "resourceType": "Bundle",
            "type": "collection" if defect == "searchset is a collection" else "searchset",
            "total": len(found),
            "link": [{"relation": "self", "url": f"{self.tiny.base}/Patient?{query}"}],
        }
        if defect == "self shows nothing":
            bundle["link"][0]["url"] = f"{self.tiny.base}/Patient"
        if begin + count < len(found) and count and defect != "no next link":
            step = begin + (count - 1 if defect == "pages overlap" and count > 1 else count)
            bundle["link"].append({"relation": "next", "url": f"{self.tiny.base}/Patient?{query}&_at={step}"})
        if page and count:
            bundle["entry"] = [
                {
                    "fullUrl": f"{self.tiny.base}/Patient/{each['id']}",
                    "resource": each,
                    "search": {"mode": "match"},
                }
                for each in page
            ]
        self.answer(200, bundle)

    def versioned(self, resource: Resource) -> dict[str, str]:
        etag = f'W/"{resource["meta"]["versionId"]}"'
        headers = {"ETag": etag, "Last-Modified": STAMP}
        if self.tiny.defect == "ETag is strong and wrong":
            headers["ETag"] = '"0"'
        return headers

    def refuse(self, status: int, code: str) -> None:
        if self.tiny.defect == "errors are HTML":
            self.answer(status, None, {"Content-Type": "text/html"}, b"<html>error</html>")
            return
        if self.tiny.defect == "issue codes are invented":
            code = "oops"
        self.answer(
            status, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
        )

    def answer(
        self,
        status: int,
        resource: Resource | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        content = body or (json.dumps(resource).encode() if resource else b"")
        if self.tiny.defect == "answers are cut short" and self.path != "/fhir/metadata":
            self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Type": "application/fhir+json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:20] if self.close_connection else content)


@contextlib.contextmanager
def serving(defect: str = "") -> Iterator[str]:
    """The base URL of a tiny server that lives until the block ends."""
    tiny = Tiny(defect)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"tiny": tiny}))
    server.daemon_threads = True
    tiny.base = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield tiny.base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
