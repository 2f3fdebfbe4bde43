"""https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, NotFound
from fhirserver.model.json import Resource
from fhirserver.operations import coded, inputs
from fhirserver.operations.coded import Coding
from fhirserver.operations.inputs import Inputs
from fhirserver.request import Request, Result
from fhirserver.terminology import concept_maps
from fhirserver.terminology.concept_maps import NONE, ConceptMap, Match, concept_map
from fhirserver.terminology.sources import Sources

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = (
    *("url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding"),
    *("codeableConcept", "target", "targetsystem", "dependency", "reverse"),
)
DEEPEST = 5
"""So many maps may name one another for what they do not map themselves."""


async def translate(request: Request, server: "Server") -> Result:
    """The codes that concept maps have for a code: of the map that is named, else of all that lead there."""
    given = inputs.read(request, server, PARAMETERS)
    asked = coded.codings(given)
    await coded.check_instance(request, server)
    came = coded.inline(given, "conceptMap", "ConceptMap", server)
    url = coded.named(given, "url", "conceptMapVersion")
    if bool(request.id) + bool(came) + bool(url) > 1:
        raise BadRequest("Only one of url, conceptMap and the instance names the map", expression="url")
    made = concept_map(came) if came else None
    canonical = f"ConceptMap/{request.id}" if request.id else url
    reverse, target = given.flag("reverse"), given.text("targetsystem")
    dependencies = list(_dependencies(given))

    def evaluate(sources: Sources) -> list[Match]:
        maps = [made] if made else list(_maps(sources, canonical, asked, given))
        found: list[Match] = []
        for map in maps:
            for coding in asked:
                if reverse:
                    matches = concept_maps.reverse(map, coding.system, coding.code, target)
                else:
                    matches = _through(sources, map, coding, target, dependencies, 0)
                found += [match for match in matches if match not in found]
        return found

    try:
        matches = await server.terminology.ask(evaluate)
    except NotFound as reason:
        return await coded.elsewhere("ConceptMap/$translate", given, server, reason)
    good = any(match.equivalence not in NONE for match in matches)
    names = ", ".join(coding.named for coding in asked)
    return coded.answer(
        [
            {"name": "result", "valueBoolean": good},
            {"name": "message", "valueString": "" if good else f"There is no translation of {names[:1000]}"},
            *({"name": "match", "part": _match(match)} for match in matches),
        ]
    )


def _maps(sources: Sources, canonical: str, asked: list[Coding], given: Inputs) -> Iterable[ConceptMap]:
    if canonical:
        entry = sources.catalogue.find("ConceptMap", canonical)
        if entry is None:
            raise NotFound(f"The concept map {canonical[:300]} is not known here", expression="url")
        yield sources.concept_map(entry)
        return
    source, target = (given.text(name).partition("|")[0] for name in ("source", "target"))
    if not any(coding.system for coding in asked) and not source:
        raise BadRequest("Neither the concept map nor the code system is named", expression="url")
    ends = {end for end in (source, target, given.text("targetsystem")) if end}
    systems = {coding.system for coding in asked if coding.system}
    for entry in sources.catalogue.of("ConceptMap"):
        if ends <= set(entry.about) and (not systems or systems & set(entry.about)):
            yield sources.concept_map(entry)


def _through(
    sources: Sources,
    map: ConceptMap,
    coding: Coding,
    target: str,
    dependencies: list[tuple[str, str]],
    depth: int,
) -> list[Match]:
    """By the map, or by those that it names for what it does not map."""
    matches = concept_maps.translate(map, coding.system, coding.code, target, dependencies)
    for url in concept_maps.elsewhere(map, coding.system) if not matches and depth < DEEPEST else ():
        if entry := sources.catalogue.find("ConceptMap", url):
            other = sources.concept_map(entry)
            matches += _through(sources, other, coding, target, dependencies, depth + 1)
    return matches


def _dependencies(given: Inputs) -> Iterable[tuple[str, str]]:
    """The elements that a mapping may depend on, each with a code or a text as its value."""
    for dependency in given.all("dependency"):
        parts = dependency.get("part") if isinstance(dependency, dict) else None
        named = {str(part.get("name")): part for part in parts or () if isinstance(part, dict)}
        element = named.get("element", {}).get("valueUri")
        concept = named.get("concept", {})
        values = concept.get("valueCodeableConcept", {})
        listed = [c.get("code") for c in values.get("coding", ())] + [values.get("text")]
        listed += [concept.get(key) for key in ("valueCode", "valueString", "valueUri")]
        if not element or not any(listed):
            raise BadRequest("dependency needs the parts element and concept", expression="dependency")
        yield from ((element, value) for value in listed if value)


def _match(match: Match) -> list[Resource]:
    parts: list[Resource] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.code:
        concept = {"system": match.system, "code": match.code, "display": match.display}
        parts.append({"name": "concept", "valueCoding": {k: v for k, v in concept.items() if v}})
    for product in match.products:
        coding = {
            "system": product.get("system"),
            "code": product.get("value"),
            "display": product.get("display"),
        }
        inside = [
            {"name": "element", "valueUri": product.get("property", "")},
            {"name": "concept", "valueCoding": {k: v for k, v in coding.items() if v}},
        ]
        parts.append({"name": "product", "part": inside})
    if match.source:
        parts.append({"name": "source", "valueUri": match.source})
    return parts
