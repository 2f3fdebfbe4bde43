"""What a server says of itself. https://hl7.org/fhir/R4/http.html#capabilities"""

from conformance import expect
from conformance.checks import check
from conformance.target import Target

AREA = "capabilities"
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")
TYPE_INTERACTIONS = (
    *("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create"),
    "search-type",
)


@check(AREA, "/metadata is a CapabilityStatement of a server of R4", "http.html#capabilities")
def statement(target: Target) -> None:
    body = expect.resource(target.get("metadata"), "CapabilityStatement")
    for element in ("status", "date", "kind", "fhirVersion", "format"):
        expect.require(body.get(element), f"CapabilityStatement.{element} is required")
    expect.require(str(body["fhirVersion"]).startswith("4.0"), f"fhirVersion is {body['fhirVersion']}")
    modes = [rest.get("mode") for rest in body.get("rest", ())]
    expect.require("server" in modes, f"no rest of mode server: {modes}")


@check(AREA, "Each resource type is listed once", "capabilitystatement.html")
def types(target: Target) -> None:
    repeated = {type for type in target.statement.types if target.statement.types.count(type) > 1}
    expect.require(not repeated, f"cpb-9: more than one rest.resource for {', '.join(sorted(repeated))}")


@check(AREA, "Interactions have the codes of R4", "valueset-type-restful-interaction.html")
def interactions(target: Target) -> None:
    body = expect.resource(target.get("metadata"), "CapabilityStatement")
    for rest in body.get("rest", ()):
        codes = {each["code"] for each in rest.get("interaction", ())} - {*SYSTEM_INTERACTIONS}
        for resource in rest.get("resource", ()):
            codes |= {each["code"] for each in resource.get("interaction", ())} - {*TYPE_INTERACTIONS}
        expect.require(not codes, f"no codes of the required binding: {', '.join(sorted(codes))}")


@check(AREA, "The statement is the same with every mode, or it is of terminology", "http.html#capabilities")
def modes(target: Target) -> None:
    for mode in ("full", "normative"):
        expect.resource(target.get("metadata", {"mode": mode}), "CapabilityStatement")
    answer = target.get("metadata", {"mode": "terminology"})
    expect.status(answer, 200)
    body = answer.json()
    known = ("CapabilityStatement", "TerminologyCapabilities")
    expect.require(body and body.get("resourceType") in known, f"mode=terminology: none of {known}")


@check(AREA, "/metadata has an ETag", "http.html#capabilities", should=True)
def etag(target: Target) -> None:
    expect.header(target.get("metadata"), "ETag")


@check(AREA, "Accept with fhirVersion=4.0 is answered", "http.html#3.1.0.1.10")
def version_parameter(target: Target) -> None:
    headers = {"Accept": "application/fhir+json; fhirVersion=4.0"}
    expect.resource(target.get("metadata", headers=headers), "CapabilityStatement")


@check(
    AREA, "CORS: a browser may ask, and read what it needs", "http.html#3.1.0.1.4", "cors", "{type}/update"
)
def cors(target: Target) -> None:
    origin = "https://app.conformance.test"
    answer = target.get("metadata", headers={"Origin": origin})
    allowed = expect.header(answer, "Access-Control-Allow-Origin")
    expect.require(allowed in ("*", origin), f"Access-Control-Allow-Origin is {allowed}")
    exposed = answer.headers.get("access-control-expose-headers", "").lower()
    for name in ("etag", "location"):
        expect.require(name in exposed or exposed == "*", f"Access-Control-Expose-Headers lacks {name}")
    preflight = target.request(
        "OPTIONS",
        f"{target.type}/{target.mark}",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type,if-match,prefer",
        },
    )
    expect.status(preflight, 200, 204)
    expect.require(
        "PUT" in expect.header(preflight, "Access-Control-Allow-Methods").upper(), "PUT not allowed"
    )
