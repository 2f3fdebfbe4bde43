"""What a CapabilityStatement claims, claim by claim. https://hl7.org/fhir/R4/capabilitystatement.html

A claim is a short text:

    transaction                     an interaction of the whole server
    $export                         an operation of the whole server
    format:xml, patchFormat:...     a format
    Patient/create                  an interaction of a type
    Patient/$everything             an operation of a type or its instances
    Patient?birthdate               a search parameter
    Patient/conditionalDelete:single, Patient/versioning:versioned, Patient/updateCreate ...
    Patient/_include=Patient:organization
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance.client import Client, Resource, Unreachable

FLAGS = ("readHistory", "updateCreate", "conditionalCreate", "conditionalUpdate")
CODES = ("versioning", "conditionalRead", "conditionalDelete")
LISTS = (("referencePolicy", "referencePolicy:"), ("searchInclude", "_include="))
MORE_LISTS = (("searchRevInclude", "_revinclude="), ("supportedProfile", "profile:"))
NOTHING = ("no-version", "not-supported")


class NotAServer(Exception):
    """What answers at the URL is no FHIR R4 server, or nothing answers."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A server's claims.

    ``types`` are the resource types in the order of the statement, ``claims`` as above, ``parameters`` the
    type of each search parameter by its claim (``Patient?birthdate`` -> ``date``).
    """

    types: tuple[str, ...]
    claims: frozenset[str]
    parameters: dict[str, str]
    software: str = ""

    @property
    def xml(self) -> str:
        """The XML format by the name the server gives it; the official one where it claims none."""
        names = ("application/fhir+xml", "xml", "application/xml", "text/xml")
        return next((name for name in names if f"format:{name}" in self.claims), names[0])

    def has(self, *claims: str) -> bool:
        """Whether all of these are claimed."""
        return self.claims.issuperset(claims)


def fetch(client: Client) -> Statement:
    """Ask for the CapabilityStatement.

    Raises:
        NotAServer: there is none, or it is not of R4.
    """
    try:
        answer = client.request("GET", "metadata")
    except Unreachable as error:
        raise NotAServer(f"{client.base_url} cannot be reached: {error}") from None
    resource = answer.json()
    if not isinstance(resource, dict) or resource.get("resourceType") != "CapabilityStatement":
        raise NotAServer(
            f"{client.base_url}/metadata is no CapabilityStatement (status {answer.status}, "
            f"{answer.media_type or 'no Content-Type'})"
        )
    version = str(resource.get("fhirVersion", ""))
    if not version.startswith("4.0"):
        raise NotAServer(f"{client.base_url} says fhirVersion {version or '(none)'}; R4 is 4.0.1")
    try:
        return read(resource)
    except (TypeError, KeyError, AttributeError) as error:
        raise NotAServer(f"The CapabilityStatement cannot be read: {type(error).__name__} {error}") from None


def read(resource: Resource) -> Statement:
    """The claims of a CapabilityStatement; those of clients (``rest.mode``) are left out."""
    claims = {f"format:{code}" for code in resource.get("format", ())}
    claims |= {f"patchFormat:{code}" for code in resource.get("patchFormat", ())}
    claims |= {name for name in ("messaging", "document") if resource.get(name)}
    types: list[str] = []
    parameters: dict[str, str] = {}
    for rest in resource.get("rest", ()):
        if rest["mode"] != "server":
            continue
        claims |= {interaction["code"] for interaction in rest.get("interaction", ())}
        claims |= {_operation(operation) for operation in rest.get("operation", ())}
        claims |= {f"compartment:{url}" for url in rest.get("compartment", ())}
        claims |= set(_security(rest.get("security", {})))
        for described in rest.get("resource", ()):
            type = described["type"]
            types.append(type)
            claims |= set(_type_claims(type, described))
            for parameter in (*rest.get("searchParam", ()), *described.get("searchParam", ())):
                parameters[f"{type}?{parameter['name']}"] = parameter["type"]
    software = resource.get("software", {})
    named = " ".join(filter(None, (software.get("name"), software.get("version"))))
    return Statement(tuple(types), frozenset(claims | parameters.keys()), parameters, named)


def _type_claims(type: str, described: dict[str, Any]) -> Iterator[str]:
    for interaction in described.get("interaction", ()):
        yield f"{type}/{interaction['code']}"
    for flag in FLAGS:
        if described.get(flag):
            yield f"{type}/{flag}"
    for name in CODES:
        if described.get(name, NOTHING[0]) not in NOTHING:
            yield f"{type}/{name}:{described[name]}"
    for name, prefix in (*LISTS, *MORE_LISTS):
        for value in described.get(name, ()):
            yield f"{type}/{prefix}{value}"
    for operation in described.get("operation", ()):
        yield f"{type}/{_operation(operation)}"


def _operation(operation: dict[str, Any]) -> str:
    return f"${operation['name'].lstrip('$')}"


def _security(security: dict[str, Any]) -> Iterator[str]:
    if security.get("cors"):
        yield "cors"
    for service in security.get("service", ()):
        codes = [coding.get("code") for coding in service.get("coding", ())]
        yield f"security:{codes[0] if codes else service.get('text')}"
