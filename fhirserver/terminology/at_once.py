"""What is known of codes without waiting for anything: what the validator of resources asks."""

from fhirserver.errors import NotSupported, Unprocessable
from fhirserver.terminology import ecl
from fhirserver.terminology.concepts import speaks
from fhirserver.terminology.sources import Sources
from fhirserver.terminology.terminology import Terminology

_USUAL = "en"
"""The language of code systems that do not name theirs."""


class AtOnce:
    """A terminology as ``validation.knowledge.Codes`` wants it: what must be looked up is not known."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology

    def is_member(self, value_set: str, system: str, code: str) -> bool | None:
        verdict = self._terminology.validate(system, code, value_set)
        return {"known": True, "unknown": False, "cannot tell": None}[verdict]

    def names(self, system: str, code: str, language: str) -> tuple[str, ...]:
        def evaluate(sources: Sources) -> tuple[str, ...]:
            known = sources.code_system(sources.catalogue.url_of(system))
            concept = known.find(code) if known else None
            if known is None or concept is None or not concept.display:
                return ()
            if language and not speaks(concept, language, known.head.language or _USUAL):
                return ()
            return tuple(name for name in concept.texts if name)

        return self._terminology.now(evaluate) or ()

    def is_supplement(self, system: str) -> bool:
        entry = self._terminology.catalogue.find("CodeSystem", system)
        return entry is not None and bool(entry.supplements)

    def property_type(self, system: str, code: str) -> str:
        def evaluate(sources: Sources) -> str:
            known = sources.code_system(system)
            properties = known.head.properties if known else ()
            return next((str(p.get("type")) for p in properties if p.get("code") == code), "")

        return self._terminology.now(evaluate) or ""

    def is_constraint(self, text: str) -> bool:
        try:
            ecl.parse(text)
        except NotSupported:
            return True
        except Unprocessable:
            return False
        return True
