"""What the terminology operations share: codes in, value sets and code systems by name, Parameters out.

https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, FHIRError, Gone, NotFound, NotSupported
from fhirserver.interactions import prepare
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations.inputs import Inputs
from fhirserver.request import Request, Result
from fhirserver.terminology.expansion import Unknown
from fhirserver.terminology.sources import Sources
from fhirserver.terminology.value_sets import ValueSet, value_set

if TYPE_CHECKING:
    from fhirserver.server import Server

NOT_HERE = ("context", "contextDirection")
"""Parameters of the specification that nothing here can answer."""
_TYPES = {
    **dict.fromkeys(("code", "displayLanguage", "codeA", "codeB", "property"), "valueCode"),
    **dict.fromkeys(("url", "system", "source", "target", "targetsystem"), "valueUri"),
    **dict.fromkeys(("activeOnly", "includeDesignations", "abstract", "reverse"), "valueBoolean"),
    **dict.fromkeys(("count", "offset"), "valueInteger"),
}
"""How a parameter is written for another server; the others are strings."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A code that an operation is asked about."""

    system: str
    code: str
    version: str = ""
    display: str = ""

    @property
    def named(self) -> str:
        return f"{self.system}|{self.code}"[:200] if self.system else f"'{self.code[:100]}'"


def codings(given: Inputs, system: str = "system", version: str = "version") -> list[Coding]:
    """The codes of ``code``, ``coding`` or ``codeableConcept``; ``system`` and ``version`` are the names of
    the parameters that belong to ``code``.

    Raises:
        BadRequest: there is none, or more than one of the three.
    """
    code, coding, concept = given.text("code"), given.one("coding"), given.one("codeableConcept")
    if sum(map(bool, (code, coding, concept))) != 1:
        raise BadRequest(
            "One of the parameters code, coding and codeableConcept is needed", expression="code"
        )
    if code:
        return [Coding(given.text(system), code, given.text(version), given.text("display"))]
    if coding:
        return [one_coding(coding, "coding")]
    listed = concept.get("coding", []) if isinstance(concept, dict) else None
    if not isinstance(listed, list) or not listed:
        raise BadRequest("codeableConcept has no coding", expression="codeableConcept")
    return [one_coding(each, "codeableConcept.coding") for each in listed]


def one_coding(value: Any, place: str) -> Coding:
    """A Coding as an element, or as ``system|code`` in a URL. Raises BadRequest."""
    if isinstance(value, str):
        system, _, code = value.rpartition("|")
        return Coding(system, code)
    fields = [value.get(name, "") for name in ("system", "code", "version", "display")]
    if not all(isinstance(field, str) for field in fields) or not fields[1]:
        raise BadRequest(f"{place} has no code", expression=place)
    return Coding(*fields)


def refuse_context(given: Inputs) -> None:
    """Raises NotSupported for parameters that need what no server of the base specification has."""
    for name in NOT_HERE:
        if given.all(name):
            raise NotSupported(f"The parameter {name} is not supported; name the value set by its url")


def named(given: Inputs, name: str = "url", version: str = "version") -> str:
    """A canonical from ``url`` and a version of its own."""
    url, of = given.text(name), given.text(version)
    return f"{url}|{of}" if url and of and "|" not in url else url


async def check_instance(request: Request, server: "Server") -> None:
    """Raises NotFound, Gone when the instance that is asked is not there."""
    if not request.id:
        return
    prepare.check_id(request.id)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})


def inline(given: Inputs, name: str, type: str, server: "Server") -> Resource | None:
    """A resource that came with the request.

    Raises:
        BadRequest: it is another resource.
        Invalid: it is not valid.
    """
    resource = given.one(name)
    if resource is None:
        return None
    if not isinstance(resource, dict) or resource.get("resourceType") != type:
        raise BadRequest(f"The parameter {name} is not a {type}", expression=name)
    issues = [i for i in server.validator.validate(resource) if i.severity in ("error", "fatal")]
    if issues:
        raise prepare.Invalid(f"The {type} is not valid", issues=issues)
    return resource


def asked_value_set(given: Inputs, request: Request, server: "Server") -> Callable[[Sources], ValueSet]:
    """The value set of the request: the instance, the one that came along, or the one named by url.

    Raises:
        BadRequest: none of them, or several.
    """
    came = inline(given, "valueSet", "ValueSet", server)
    url = named(given, "url", "valueSetVersion")
    if bool(request.id) + (came is not None) + bool(url) != 1:
        raise BadRequest(
            "One of url and valueSet names the value set, or the instance does", expression="url"
        )
    if came is not None:
        made = value_set(came)
        return lambda sources: _supplemented(made, sources)
    canonical = f"ValueSet/{request.id}" if request.id else url

    def find(sources: Sources) -> ValueSet:
        found = sources.value_set(canonical)
        if found is None:
            raise NotFound(f"The value set {canonical[:300]} is not known here", expression="url")
        return _supplemented(found, sources)

    return find


def _supplemented(set: ValueSet, sources: Sources) -> ValueSet:
    """The value set, whose supplements are known. Raises Unknown where one of them is not."""
    for extension in set.resource.get("extension", ()):
        canonical = extension.get("valueCanonical", "")
        if extension.get("url") == _SUPPLEMENT and sources.catalogue.find("CodeSystem", canonical) is None:
            raise Unknown(f"The supplement {canonical[:300]}, which {set.called[:200]} needs, is not known")
    return set


_SUPPLEMENT = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"


def entry_url(sources: Sources, type: str, id: str) -> str:
    """The url of a stored resource. Raises NotFound when it is not there, or has none."""
    entry = sources.catalogue.find(type, f"{type}/{id}")
    if entry is None or not entry.url:
        raise NotFound(f"{type}/{id} has no url")
    return f"{entry.url}|{entry.version}" if entry.version else entry.url


async def elsewhere(operation: str, given: Inputs, server: "Server", reason: FHIRError) -> Result:
    """The answer of the other terminology server, if there is one. Raises ``reason`` otherwise."""
    remote = server.terminology.remote
    if remote is None:
        raise reason
    sent = {"resourceType": "Parameters", "parameter": [_sent(name, value) for name, value in given.given]}
    return Result(200, json.format(await remote.ask(operation, sent)))


def _sent(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        if "resourceType" in value:
            return {"name": name, "resource": value}
        return {"name": name, "valueCodeableConcept" if name == "codeableConcept" else "valueCoding": value}
    match _TYPES.get(name, "valueString"):
        case "valueBoolean":
            return {"name": name, "valueBoolean": value == "true"}
        case "valueInteger":
            return {"name": name, "valueInteger": int(value)}
        case type:
            return {"name": name, type: value}


def answer(parameters: Iterable[Resource]) -> Result:
    """A Parameters resource; those whose value is "" are left out."""
    kept = [p for p in parameters if all(value != "" for value in p.values())]
    return Result(200, json.format({"resourceType": "Parameters", "parameter": kept}))
