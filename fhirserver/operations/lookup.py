"""https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, NotFound
from fhirserver.model.json import Resource
from fhirserver.operations import coded, inputs
from fhirserver.request import Request, Result
from fhirserver.terminology.code_systems import CodeSystem, Loaded
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.selections import Is, Selection
from fhirserver.terminology.sources import Sources

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("code", "system", "version", "coding", "date", "displayLanguage", "property")
CHILDREN = 200
"""So many children of a concept are told."""
OF_EVERY_CONCEPT = ("definition", "parent", "child", "inactive")


async def lookup(request: Request, server: "Server") -> Result:
    """What is known of a code: name and version of the system, display, designations, properties.

    ``property`` asks for some of them; a code or a code system that is not known is 404.
    """
    given = inputs.read(request, server, PARAMETERS)
    coding = coded.codings(given)[0]
    if not coding.system:
        raise BadRequest("The code system is not named: system is missing", expression="system")
    wanted = given.all("property")
    language = given.text("displayLanguage") or request.headers.get("accept-language", "")

    def evaluate(sources: Sources) -> list[Resource]:
        system = sources.code_system(sources.catalogue.url_of(coding.system), coding.version)
        if system is None:
            raise NotFound(f"The code system {coding.system[:200]} {coding.version[:60]} is not known here")
        concept = system.find(coding.code)
        if concept is None:
            raise NotFound(f"The code {coding.named} is not in {system.head.called[:200]}", expression="code")
        return list(_told(system, concept, wanted, language))

    try:
        return coded.answer(await server.terminology.ask(evaluate))
    except NotFound as reason:
        return await coded.elsewhere("CodeSystem/$lookup", given, server, reason)


def _told(system: CodeSystem, concept: Concept, wanted: list[str], language: str) -> Iterator[Resource]:
    head = system.head
    yield {"name": "name", "valueString": head.name or head.title or head.url}
    yield {"name": "version", "valueString": head.version}
    yield {"name": "display", "valueString": concept.named(language) or concept.code}
    if concept.abstract:
        yield {"name": "abstract", "valueBoolean": True}
    if not wanted or "designation" in wanted or any(name.startswith("lang.") for name in wanted):
        languages = [name.removeprefix("lang.") for name in wanted if name.startswith("lang.")]
        for designation in concept.designations:
            if not languages or designation.get("language") in languages:
                yield {"name": "designation", "part": list(_designation(designation))}

    def asked(name: str) -> bool:
        return not wanted or name in wanted

    if asked("definition") and concept.definition:
        yield _property("definition", {"valueString": concept.definition})
    if asked("parent"):
        yield from (_code(system, "parent", code) for code in concept.parents)
    if asked("child"):
        yield from (_code(system, "child", code) for code in _children(system, concept))
    if asked("inactive"):
        yield _property("inactive", {"valueBoolean": concept.inactive})
    for element in concept.properties:
        if asked(element.get("code", "")) and element.get("code") not in OF_EVERY_CONCEPT:
            value = {name: value for name, value in element.items() if name.startswith("value")}
            yield _property(element.get("code", ""), value)


def _children(system: CodeSystem, concept: Concept) -> list[str]:
    """A loaded system must be asked: its concepts do not name their children."""
    if not isinstance(system, Loaded):
        return list(concept.children[:CHILDREN])
    below = Selection(Is("child-of", "concept", (concept.code,)))
    return [child.code for child in system.select(below, 0, CHILDREN).concepts]


def _code(system: CodeSystem, name: str, code: str) -> Resource:
    found = system.find(code)
    described = [{"name": "description", "valueString": found.display}] if found and found.display else []
    parts = [{"name": "code", "valueCode": name}, {"name": "value", "valueCode": code}]
    return {"name": "property", "part": [*parts, *described]}


def _property(name: str, value: Resource) -> Resource:
    return {"name": "property", "part": [{"name": "code", "valueCode": name}, {"name": "value", **value}]}


def _designation(designation: Resource) -> Iterator[Resource]:
    for name, key in (("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString")):
        if name in designation:
            yield {"name": name, key: designation[name]}
