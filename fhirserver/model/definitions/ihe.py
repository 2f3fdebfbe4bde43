"""Search parameters of IHE MHD and of France's PDSm that R4 has not.

https://profiles.ihe.net/ITI/MHD/artifacts.html, https://interop.esante.gouv.fr/ig/fhir/pdsm/artifacts.html
"""

from typing import Final

from fhirserver.model.definitions.search_parameters import SearchParameter

_MHD: Final = "https://profiles.ihe.net/ITI/MHD/"
_PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/"
_ARCHIVED: Final = f"DocumentReference.extension('{_PDSM}StructureDefinition/pdsm-ext-is-archived').value"


def _document(code: str, type: str, url: str, expression: str) -> SearchParameter:
    return SearchParameter(code, type, url, ("DocumentReference",), expression)


def _list(code: str, url: str, extension: str, type: str) -> SearchParameter:
    expression = f"List.extension('{_MHD}StructureDefinition/{extension}').value.ofType({type})"
    return SearchParameter(code, "token", url, ("List",), expression)


SEARCH_PARAMETERS: Final = (
    _document(
        "creation",
        "date",
        f"{_MHD}SearchParameter/DocumentReference-Creation",
        "DocumentReference.content.attachment.creation",
    ),
    # A document that does not say that it is archived is not: isArchived=false finds it.
    _document(
        "isArchived",
        "token",
        f"{_PDSM}SearchParameter/isArchived",
        f"{_ARCHIVED}.exists() and {_ARCHIVED} != false",
    ),
    _document(
        "period-start",
        "date",
        f"{_PDSM}SearchParameter/period-start",
        "DocumentReference.context.period.start",
    ),
    _document(
        "period-end", "date", f"{_PDSM}SearchParameter/period-end", "DocumentReference.context.period.end"
    ),
    _list(
        "designationType",
        f"{_MHD}SearchParameter/List-DesignationType",
        "ihe-designationType",
        "CodeableConcept",
    ),
    _list("sourceId", f"{_MHD}SearchParameter/List-SourceId", "ihe-sourceId", "Identifier"),
)
