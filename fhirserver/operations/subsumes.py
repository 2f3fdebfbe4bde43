"""https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, NotFound
from fhirserver.operations import coded, inputs
from fhirserver.operations.coded import Coding
from fhirserver.operations.inputs import Inputs
from fhirserver.request import Request, Result
from fhirserver.terminology.sources import Sources

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("codeA", "codeB", "system", "version", "codingA", "codingB")


async def subsumes(request: Request, server: "Server") -> Result:
    """How two codes of one system relate: equivalent, subsumes, subsumed-by or not-subsumed."""
    given = inputs.read(request, server, PARAMETERS)
    first, second = _coding(given, "A"), _coding(given, "B")
    if first.system and second.system and first.system != second.system:
        raise BadRequest("The two codes are of different code systems", expression="codingB")
    await coded.check_instance(request, server)
    if bool(request.id) == bool(first.system or second.system):
        raise BadRequest("The code system is named by system, or is the instance", expression="system")

    def evaluate(sources: Sources) -> str:
        own = sources.catalogue.url_of(first.system or second.system)
        version = first.version or second.version
        url = coded.entry_url(sources, "CodeSystem", request.id) if request.id else own
        system = sources.code_system(url, version)
        if system is None:
            raise NotFound(
                f"The code system {url[:200]} {version[:60]} is not known here", expression="system"
            )
        concepts = system.find_many((first.code, second.code))
        missing = [code for code in (first.code, second.code) if code not in concepts]
        if missing:
            raise NotFound(f"The code {missing[0][:100]!r} is not in {system.head.called[:200]}")
        a, b = concepts[first.code], concepts[second.code]
        if a.code == b.code:
            return "equivalent"
        if a.code in b.ancestors:
            return "subsumes"
        return "subsumed-by" if b.code in a.ancestors else "not-subsumed"

    try:
        outcome = await server.terminology.ask(evaluate)
    except NotFound as reason:
        return await coded.elsewhere("CodeSystem/$subsumes", given, server, reason)
    return coded.answer([{"name": "outcome", "valueCode": outcome}])


def _coding(given: Inputs, letter: str) -> Coding:
    code, coding = given.text(f"code{letter}"), given.one(f"coding{letter}")
    if bool(code) == bool(coding):
        raise BadRequest(f"One of code{letter} and coding{letter} is needed", expression=f"code{letter}")
    if code:
        return Coding(given.text("system"), code, given.text("version"))
    return coded.one_coding(coding, f"coding{letter}")
