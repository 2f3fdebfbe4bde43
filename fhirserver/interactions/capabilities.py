"""https://hl7.org/fhir/R4/http.html#capabilities: derived from what is registered, never written by hand"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import fhirserver
from fhirserver.errors import BadRequest
from fhirserver.interactions import claims, parts
from fhirserver.interactions.conditions import not_modified
from fhirserver.interactions.patch import MEDIA_TYPES as PATCH_TYPES
from fhirserver.interactions.terminology_capabilities import terminology_capabilities
from fhirserver.model import json
from fhirserver.request import GENERAL, Request, Result
from fhirserver.search import named
from fhirserver.search.fulltext import CONTENT, NARRATIVE
from fhirserver.search.includes import followed
from fhirserver.subscriptions import topics

if TYPE_CHECKING:
    from fhirserver.operations.registry import Level
    from fhirserver.server import Server

MODES = ("full", "normative", "terminology")
TYPE_LEVEL = frozenset(
    (
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    )
)
SYSTEM_LEVEL = frozenset(("transaction", "batch", "search-system", "history-system"))
"""The codes of interactions: https://hl7.org/fhir/R4/valueset-type-restful-interaction.html and its like"""
NORMATIVE = frozenset(
    (
        *("Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition"),
        *("OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet"),
    )
)
"""The resource types whose definition is normative in R4: https://hl7.org/fhir/R4/resourcelist.html"""
COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
NAMED_QUERY = "urn:fhirserver:query:"
NEVER = 2**62
MHD_ACTORS = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD."
ACTORS = (
    "DocumentRecipient",
    "DocumentRecipient.Comprehensive",
    "DocumentRecipient.UnContained",
    "DocumentRecipient.Simplified",
    "DocumentRecipient.Generate",
    "DocumentResponder",
)
"""IHE MHD 4.2: Document Recipient with its options, Document Responder."""
Profiles = tuple[tuple[str, tuple[str, ...]], ...]


async def capabilities(request: Request, server: "Server") -> Result:
    """The CapabilityStatement of this server as it runs; ``mode`` chooses the normative part of it, or the
    TerminologyCapabilities."""
    request.check_parameters((*GENERAL, "mode"))
    mode = request.parameter("mode") or "full"
    if mode not in MODES:
        raise BadRequest(f"mode={mode[:40]!r} is not one of {', '.join(MODES)}", expression="mode")
    if mode == "terminology":
        body, etag = await _terminology(server, request.base_url)
    else:
        profiles = tuple(sorted((t, tuple(urls)) for t, urls in server.validator.profiles.by_type().items()))
        body, etag = _encoded(server, request.base_url, mode, server.indexer.generation, profiles)
    headers = {"Cache-Control": "max-age=3600"}
    if not_modified(request, etag, NEVER):
        return Result(304, etag=etag, headers=headers)
    resource = json.stored(body) if request.query else {}
    if resource and (part := parts.asked(request, (resource["resourceType"],), server)):
        body = json.format(part.of(resource, server.definitions))
    return Result(200, body, etag=etag, headers=headers)


@lru_cache(maxsize=48)
def _encoded(
    server: "Server", base_url: str, mode: str, generation: int, profiles: Profiles
) -> tuple[bytes, str]:
    """The statement, as it is with this generation of search parameters and these profiles, and its ETag."""
    return _tagged(_statement(server, base_url, mode, dict(profiles)))


def _tagged(made: dict[str, Any]) -> tuple[bytes, str]:
    body = json.format(made)
    return body, f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'


def _websocket(base_url: str) -> str:
    """Beside the base: ``ws://host/websocket`` for ``http://host/fhir``."""
    return f"ws{base_url.removeprefix('http').rpartition('/')[0]}/websocket"


def _topics(type: str, server: "Server") -> dict[str, Any]:
    """What can be subscribed to: https://hl7.org/fhir/uv/subscriptions-backport/conformance.html"""
    if type != "Subscription" or not server.subscriptions:
        return {}
    known = [url for url, about in topics.TOPICS.items() if about in server.types]
    return {"extension": [{"url": topics.ADVERTISED, "valueCanonical": url} for url in known]}


def _head(type: str, base_url: str) -> dict[str, Any]:
    return {
        "resourceType": type,
        "id": "fhirserver",
        "status": "active",
        "date": fhirserver.RELEASED,
        "kind": "instance",
        "software": {"name": "fhirserver", "version": fhirserver.__version__},
        "implementation": {"description": "fhirserver", "url": base_url},
    }


async def _terminology(server: "Server", base_url: str) -> tuple[bytes, str]:
    """As the terminology is now."""
    await server.terminology.refresh()
    return _tagged({**_head("TerminologyCapabilities", base_url), **terminology_capabilities(server)})


def _statement(
    server: "Server", base_url: str, mode: str, profiles: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    from fhirserver.interactions import ROUTES

    types = sorted(server.types & NORMATIVE if mode == "normative" else server.types)
    system = sorted(SYSTEM_LEVEL & {"batch", *(code for code, _ in ROUTES.values())})
    compartments = [type for type in sorted(server.types) if server.definitions.has_compartment(type)]
    rest = {
        "mode": "server",
        "security": {
            "cors": bool(server.settings.cors_origins),
            "description": "Nobody is authenticated; the server listens on loopback only",
        },
        "resource": [_resource(type, profiles.get(type, ()), server) for type in types],
        "interaction": [{"code": code} for code in system],
        **_operations("", server),
        "compartment": [COMPARTMENT + type.lower() for type in compartments],
    }
    if server.subscriptions:
        rest["extension"] = [{"url": topics.WEBSOCKET, "valueUri": _websocket(base_url)}]
    return {
        **_head("CapabilityStatement", base_url),
        **_actors(server),
        "fhirVersion": "4.0.1",
        "format": [
            *("application/fhir+json", "application/fhir+xml", "application/fhir+ndjson"),
            "json",
            "xml",
        ],
        "patchFormat": list(PATCH_TYPES),
        "rest": [rest],
    }


def _actors(server: "Server") -> dict[str, Any]:
    """The actors of IHE MHD that the server plays: it receives documents, and gives them out."""
    if server.publishing is None or not {"List", "DocumentReference", "Binary"} <= server.types:
        return {}
    return {"instantiates": [MHD_ACTORS + name for name in ACTORS]}


def _resource(type: str, profiles: tuple[str, ...], server: "Server") -> dict[str, Any]:
    from fhirserver.interactions import ROUTES

    codes = TYPE_LEVEL & {code for code, _ in ROUTES.values()}
    if type == "Binary":
        codes -= {"patch"}  # binary.html#patch: not specified
    parameters = server.indexer.parameters(type)
    supported = [*profiles, *(url for url in claims.of_type(type) if url not in profiles)]
    enforced = ["enforced"] if server.settings.reference_integrity == "enforce" else []
    return {
        **_topics(type, server),
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        **({"supportedProfile": supported} if supported else {}),
        "interaction": [{"code": code} for code in sorted(codes)],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": server.settings.conditional_delete,
        "referencePolicy": ["literal", "logical", *enforced],
        "searchParam": [
            {"name": code, "definition": parameter.url, "type": parameter.type}
            for code, parameter in sorted(parameters.items())
        ]
        + [{"name": code, "type": "special" if code == "_filter" else "string"} for code in _unbound(server)],
        **_followed(type, server),
        **_operations(type, server),
    }


def _unbound(server: "Server") -> list[str]:
    """What resources of every type are searched by that is about none of their elements."""
    words = {"off": [], "narrative": [NARRATIVE], "content": [CONTENT, NARRATIVE]}
    return ["_filter", *words[server.indexer.words]]


def _followed(type: str, server: "Server") -> dict[str, Any]:
    """What ``_include`` and ``_revinclude`` can follow."""
    forward = [f"{type}:{code}" for code in followed(type, server.indexer)]
    backward = [
        f"{source}:{code}"
        for source in sorted(server.types)
        for code in followed(source, server.indexer, type)
    ]
    found = {"searchInclude": ["*", *forward] if forward else [], "searchRevInclude": backward}
    return {name: values for name, values in found.items() if values}


def _operations(type: str, server: "Server") -> dict[str, Any]:
    """The operations of a resource type, or ("") of the base."""
    levels: tuple[Level, ...] = ("type", "instance") if type else ("system",)
    found = [o for o in server.operations if any(o.is_at(level, type) for level in levels)]
    rows = [{"name": o.code, "definition": o.definition} for o in found]
    rows += [{"name": name, "definition": NAMED_QUERY + name} for name in named.names(type)]
    return {"operation": rows} if rows else {}
