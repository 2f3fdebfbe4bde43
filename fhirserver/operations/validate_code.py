"""``$validate-code`` of value sets and of code systems.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html,
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, NotFound
from fhirserver.operations import coded, inputs
from fhirserver.operations.coded import Coding
from fhirserver.operations.inputs import Inputs
from fhirserver.request import Request, Result
from fhirserver.terminology.code_systems import CodeSystem, Listed
from fhirserver.terminology.code_systems import listed as compiled
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.membership import contains, systems
from fhirserver.terminology.sources import Sources
from fhirserver.terminology.value_sets import ValueSet

if TYPE_CHECKING:
    from fhirserver.server import Server

COMMON = (
    *("url", "code", "display", "coding", "codeableConcept", "date", "abstract", "displayLanguage"),
    *("lenient-display-validation", "valueset-membership-only", "activeOnly"),
)
OF_VALUE_SETS = (
    *(*COMMON, "system", "systemVersion", "version", "valueSet", "valueSetVersion", "inferSystem"),
    *coded.NOT_HERE,
)
"""Those of R4, and what later versions and other servers call the same or have added."""
OF_CODE_SYSTEMS = (*COMMON, "version", "codeSystem", "system")
LOOKED_THROUGH = 3000
"""The codes of larger systems are not looked through for a similar one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is said of one coding. ``result`` None: it cannot be told."""

    coding: Coding
    result: bool | None
    message: str = ""
    concept: Concept | None = None
    version: str = ""


async def validate_code(request: Request, server: "Server") -> Result:
    """Whether a code is in a value set: 200 with ``result``, whatever it is."""
    given = inputs.read(request, server, OF_VALUE_SETS)
    coded.refuse_context(given)
    asked = coded.codings(given, "system", "systemVersion" if given.text("systemVersion") else "version")
    await coded.check_instance(request, server)
    find = coded.asked_value_set(given, request, server)
    rules = _rules(given)
    inferred = bool(given.text("code"))

    def evaluate(sources: Sources) -> list[Found]:
        set = find(sources)
        return [_in_value_set(sources, set, coding, rules, inferred=inferred) for coding in asked]

    return await _answer("ValueSet/$validate-code", evaluate, given, request, server)


async def validate_code_in_system(request: Request, server: "Server") -> Result:
    """Whether a code is in a code system."""
    given = inputs.read(request, server, OF_CODE_SYSTEMS)
    name = "url" if given.text("url") else "system"
    asked = coded.codings(given, name, "version")
    await coded.check_instance(request, server)
    came = coded.inline(given, "codeSystem", "CodeSystem", server)
    made = compiled(came) if came else None
    url, rules = coded.named(given, name), _rules(given)
    if bool(request.id) + bool(made) + bool(url) > 1:
        raise BadRequest("Only one of url and codeSystem names the code system", expression="url")

    def evaluate(sources: Sources) -> list[Found]:
        canonical = coded.entry_url(sources, "CodeSystem", request.id) if request.id else url
        found = []
        for coding in asked:
            own = sources.catalogue.url_of(canonical.partition("|")[0] or coding.system)
            if not own and not made:
                raise BadRequest("The code system is not named: url is missing", expression="url")
            if coding.system and own and sources.catalogue.url_of(coding.system) != own:
                text = f"{coding.named} is not a code of {own[:200]}"
                found.append(Found(coding, False, text))
                continue
            system = made or sources.code_system(own, coding.version or canonical.partition("|")[2])
            if system is None:
                raise NotFound(_unknown(sources, own, coding.version), expression="url")
            coding = Coding(own or system.head.url, coding.code, coding.version, coding.display)
            found.append(_in_code_system(system, coding, rules))
        return found

    return await _answer("CodeSystem/$validate-code", evaluate, given, request, server)


async def _answer(
    operation: str,
    evaluate: Callable[[Sources], list[Found]],
    given: Inputs,
    request: Request,
    server: "Server",
) -> Result:
    try:
        found = await server.terminology.ask(evaluate)
    except NotFound as reason:
        return await coded.elsewhere(operation, given, server, reason)
    best = next((f for f in found if f.result), found[0])
    if best.result is None and server.terminology.remote:
        return await coded.elsewhere(operation, given, server, NotFound(best.message))
    language = given.text("displayLanguage") or request.headers.get("accept-language", "")
    messages = [f.message for f in (found if not best.result else [best]) if f.message]
    concept = best.concept
    several = len(found) > 1 and not best.result  # then none of them is the one that is meant
    return coded.answer(
        [
            {"name": "result", "valueBoolean": best.result is True},
            {"name": "message", "valueString": "; ".join(messages)[:2000]},
            {"name": "display", "valueString": concept.named(language) if concept else ""},
            {"name": "code", "valueCode": "" if several else concept.code if concept else best.coding.code},
            {"name": "system", "valueUri": "" if several else best.coding.system},
            {"name": "version", "valueString": best.version},
            {"name": "inactive", "valueBoolean": True if concept and concept.inactive else ""},
        ]
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """How strict the answer is: abstract or inactive codes are none, a wrong display is no fault, displays
    are those of a language."""

    concrete: bool
    active: bool
    lenient: bool
    language: str


def _rules(given: Inputs) -> _Rules:
    return _Rules(
        given.text("abstract") == "false",
        given.flag("activeOnly"),
        given.flag("lenient-display-validation") or given.flag("valueset-membership-only"),
        given.text("displayLanguage"),
    )


def _in_value_set(sources: Sources, set: ValueSet, coding: Coding, rules: _Rules, *, inferred: bool) -> Found:
    """``inferred``: the system of a code without one is that of the set; a Coding has to have one."""
    named = systems(sources, set)
    url = sources.catalogue.url_of(coding.system)
    coding = Coding(url, coding.code, coding.version, coding.display)
    if not coding.system and not inferred:
        text = f"The code {coding.named} has no system: what it means cannot be told"
        return Found(coding, False, text)
    if not coding.system:
        # The system of a code is that of the set, if it has only one with this code.
        having = [own for own in named if contains(sources, set, own, coding.code)]
        if len(having) != 1:
            what = "several code systems of" if having else "none of the code systems of"
            return Found(coding, False, f"The code {coding.named} is in {what} {set.called[:200]}")
        coding = Coding(having[0], coding.code, coding.version, coding.display)
    version = coding.version or named.get(coding.system, "")
    system = sources.code_system(coding.system, version)
    if system is None and coding.version:
        return Found(coding, False, _unknown(sources, coding.system, coding.version))
    within = contains(sources, set, coding.system, coding.code)
    if within is None:
        text = f"Whether {coding.named} is in {set.called[:200]} cannot be told: "
        return Found(coding, None, text + _unknown(sources, coding.system, version))
    known = _in_code_system(system, coding, rules) if system else Found(coding, True)
    if within and known.concept is None and known.result is not False:
        # Of a system that is not known here the value set itself may tell the display.
        told = next((c.concepts[coding.code] for c in set.includes if coding.code in c.concepts), {})
        return Found(coding, True, "", Concept(coding.code, told.get("display", "")), known.version)
    if within:
        return known
    reason = "" if known.result else f"; {known.message}" if known.message else ""
    text = f"The code {coding.named} is not in the value set {set.called[:200]}{reason}"
    return Found(coding, False, text, known.concept, known.version)


def _in_code_system(system: CodeSystem, coding: Coding, rules: _Rules) -> Found:
    head = system.head
    concept = system.find(coding.code)
    if concept is None and not head.complete:
        text = f"The codes of {head.called[:200]} are not all known here ({head.content})"
        return Found(coding, None, text, None, head.version)
    if concept is None:
        text = f"The code {coding.named} is not in {head.called[:200]}{_near(system, coding.code)}"
        return Found(coding, False, text, None, head.version)
    if concept.inactive and rules.active:
        text = f"The code {coding.named} is inactive"
        return Found(coding, False, text, concept, head.version)
    if concept.abstract and rules.concrete:
        text = f"The code {coding.named} is abstract: it groups others and is not to be used"
        return Found(coding, False, text, concept, head.version)
    names = concept.names_in(rules.language, head.language)
    if coding.display and names and _plain(coding.display) not in map(_plain, names):
        text = f"{coding.display[:100]!r} is not a display of {coding.named}; it is {names[0]!r}"
        return Found(coding, rules.lenient, text, concept, head.version)
    text = f"The code {coding.named} is inactive" if concept.inactive else ""
    return Found(coding, True, text, concept, head.version)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _near(system: CodeSystem, code: str) -> str:
    """The code that was meant, perhaps."""
    if not isinstance(system, Listed) or len(system.concepts) > LOOKED_THROUGH:
        return ""
    near = difflib.get_close_matches(code, system.concepts, 1)
    by_name = [c.code for c in system.concepts.values() if _plain(c.display) == _plain(code)]
    return f"; did you mean {(near or by_name)[0]}?" if near or by_name else ""


def _unknown(sources: Sources, system: str, version: str) -> str:
    url = system.partition("|")[0]
    versions = sources.catalogue.versions("CodeSystem", url)
    known = list(dict.fromkeys(entry.version for entry in versions if entry.version))
    if known and version:
        return (
            f"the version {version[:60]} of {url[:200]} is not known here; known are {', '.join(known)[:300]}"
        )
    return f"the code system {url[:200]} is not known here"
