"""``_include`` and ``_revinclude``: ``Source:parameter``, ``Source:parameter:Target``, ``Source:*``, ``*``.

https://hl7.org/fhir/R4/search.html#include
"""

from collections.abc import Collection, Iterable, Iterator

from fhirserver.errors import BadRequest
from fhirserver.model import reference
from fhirserver.model.json import Resource
from fhirserver.model.reference import Reference
from fhirserver.search.criteria import Criteria, Ignorable
from fhirserver.search.indexer import Indexer
from fhirserver.search.parameters import Parameter
from fhirserver.search.query import Include
from fhirserver.search.values import shown


def compile_include(
    types: Collection[str], value: str, criteria: Criteria, *, reverse: bool, iterate: bool
) -> tuple[Include, ...]:
    """What one ``_include`` or ``_revinclude`` asks for, in a search that finds resources of these types.

    Raises:
        BadRequest: a type, a parameter or a target is unknown, or nothing of this search could be included.
    """
    name = "_revinclude" if reverse else "_include"
    if "," in value:
        raise BadRequest(f"{name} has one value; for several it is repeated")
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    everywhere = source == "*" and not rest
    if not everywhere and not (source and code):
        raise BadRequest(
            f"{name}={shown(value)} is not [type]:[parameter], [type]:[parameter]:[target], [type]:* or *"
        )
    # Without :iterate only what is found is followed.
    followed = criteria.indexer.types if iterate else types
    try:
        if target:
            criteria.type(target)
        if everywhere:
            sources = sorted(criteria.indexer.types if reverse else followed)
        else:
            sources = [criteria.type(source)]
        targets = [target] if target else sorted(followed) if reverse else [""]
        found = tuple(
            Include(source, codes, target, reverse, iterate)
            for source in sources
            for target in targets
            if (reverse and target in followed) or (not reverse and source in followed)
            if (codes := _codes(source, code or "*", target, criteria))
        )
    except Ignorable as reason:
        raise BadRequest(f"{name}={shown(value)}: {reason}") from None
    if not found and code != "*" and not everywhere:
        raise BadRequest(
            f"{name}={shown(value)} is about nothing that this search finds ({', '.join(sorted(types))[:80]})"
            f"{'' if iterate else f', or what it includes: see {name}:iterate'}"
        )
    return found


def _codes(source: str, code: str, target: str, criteria: Criteria) -> tuple[str, ...]:
    """The parameters of the source by which it may refer to the target."""
    if code != "*":
        parameters = [criteria.reference(source, code)]
    else:
        parameters = [p for p in criteria.indexer.compiled(source).compiled.values() if _refers(p)]
    # A parameter that is made of others has no keys of its own.
    own = [source for p in parameters for source in p.sources or (p,)]
    return tuple(dict.fromkeys(p.code for p in own if not target or target in p.targets))


def _refers(parameter: Parameter) -> bool:
    return parameter.type == "reference" and "Reference" in parameter.found


def followed(source: str, indexer: Indexer, target: str = "") -> list[str]:
    """The parameters by which a type can be included, or include what it refers to."""
    known = indexer.compiled(source).compiled.values()
    return sorted(p.code for p in known if _refers(p) and (not target or target in p.targets))


def referred(resource: Resource, includes: Iterable[Include], indexer: Indexer) -> Iterator[Reference]:
    """The resources of this server that a resource refers to by the parameters of includes, which are of its
    type."""
    known = indexer.compiled(resource["resourceType"]).compiled
    for include in includes:
        for code in include.parameters:
            for path in known[code].paths:
                for value in path.values(resource) if path.type == "Reference" else ():
                    found = reference.parse(value.get("reference", ""), indexer.site.base_url)
                    if found.is_local and include.target in ("", found.type):
                        yield found
