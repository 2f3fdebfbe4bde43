"""The stored queries of a document registry: which there are, and which parameters each takes.

IHE ITI TF-2 3.18.4.1.2.3.7, https://profiles.ihe.net/ITI/TF/Volume2/ITI-18.html; XDS Metadata Update
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "code", "time", "number", "uuid"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """``several``: a list of values, one of which is enough; ``all_of``: several lists, which all count."""

    name: str
    kind: Kind = "text"
    required: bool = False
    several: bool = False
    all_of: bool = False


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """``one_of``: exactly one of these parameters is given."""

    name: str
    id: str
    parameters: dict[str, Parameter]
    one_of: tuple[str, ...] = ()


def _query(name: str, id: str, *parameters: Parameter, one_of: tuple[str, ...] = ()) -> StoredQuery:
    known = [*parameters, Parameter("$homeCommunityId"), Parameter("$MetadataLevel", "number")]
    return StoredQuery(name, f"urn:uuid:{id}", {p.name: p for p in known}, one_of)


def _several(*names: str, kind: Kind = "text", required: bool = False) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, _kind(name, kind), required, several=True) for name in names)


def _times(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(f"{name}{end}", "time") for name in names for end in ("From", "To"))


def _one(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, _kind(name, "text")) for name in names)


def _kind(name: str, kind: Kind) -> Kind:
    return "uuid" if name.endswith(("EntryUUID", "LogicalID", "$uuid")) else kind


def _status(*names: str) -> tuple[Parameter, ...]:
    return _several(*names, required=True)


_ENTRY: Final = "$XDSDocumentEntry"
_SET: Final = "$XDSSubmissionSet"
_FOLDER: Final = "$XDSFolder"
_ENTRY_IDS: Final = (f"{_ENTRY}EntryUUID", f"{_ENTRY}UniqueId")
_SET_IDS: Final = (f"{_SET}EntryUUID", f"{_SET}UniqueId")
_FOLDER_IDS: Final = (f"{_FOLDER}EntryUUID", f"{_FOLDER}UniqueId")
_LABELS: Final = Parameter(f"{_ENTRY}ConfidentialityCode", "code", several=True, all_of=True)
_WHICH: Final = (*_several(f"{_ENTRY}FormatCode", kind="code"), _LABELS, *_several(f"{_ENTRY}Type"))
_ASSOCIATIONS: Final = _several("$XDSAssociationStatus")
_FIND_DOCUMENTS: Final = (
    Parameter(f"{_ENTRY}PatientId", required=True),
    *_status(f"{_ENTRY}Status"),
    *_several(f"{_ENTRY}ClassCode", f"{_ENTRY}TypeCode", f"{_ENTRY}PracticeSettingCode", kind="code"),
    *_several(f"{_ENTRY}HealthcareFacilityTypeCode", kind="code"),
    *_times(f"{_ENTRY}CreationTime", f"{_ENTRY}ServiceStartTime", f"{_ENTRY}ServiceStopTime"),
    Parameter(f"{_ENTRY}EventCodeList", "code", several=True, all_of=True),
    *_several(f"{_ENTRY}AuthorPerson", f"{_ENTRY}DocumentAvailability"),
    *_WHICH,
)

STORED_QUERIES: Final = {
    query.id: query
    for query in (
        _query("FindDocuments", "14d4debf-8f97-4251-9a74-a90016b0af0d", *_FIND_DOCUMENTS),
        _query(
            "FindDocumentsByReferenceId",
            "12941a89-e02e-4be5-967c-ce4bfc8fe492",
            *_FIND_DOCUMENTS,
            Parameter(f"{_ENTRY}ReferenceIdList", required=True, several=True, all_of=True),
        ),
        _query(
            "FindSubmissionSets",
            "f26abbcb-ac74-4422-8a30-edb644bbc1a9",
            Parameter(f"{_SET}PatientId", required=True),
            *_status(f"{_SET}Status"),
            *_several(f"{_SET}SourceId"),
            *_times(f"{_SET}SubmissionTime"),
            *_one(f"{_SET}AuthorPerson"),
            *_several(f"{_SET}ContentType", kind="code"),
        ),
        _query(
            "FindFolders",
            "958f3006-baad-4929-a4de-ff1114824431",
            Parameter(f"{_FOLDER}PatientId", required=True),
            *_status(f"{_FOLDER}Status"),
            *_times(f"{_FOLDER}LastUpdateTime"),
            Parameter(f"{_FOLDER}CodeList", "code", several=True, all_of=True),
        ),
        _query(
            "GetAll",
            "10b545ea-725c-446d-9b95-8aeb444eddf3",
            Parameter("$patientId", required=True),
            *_status(f"{_ENTRY}Status", f"{_SET}Status", f"{_FOLDER}Status"),
            *_WHICH,
            *_ASSOCIATIONS,
        ),
        _query(
            "GetDocuments",
            "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
            *_several(*_ENTRY_IDS, f"{_ENTRY}LogicalID"),
            one_of=(*_ENTRY_IDS, f"{_ENTRY}LogicalID"),
        ),
        _query(
            "GetFolders",
            "5737b14c-8a1a-4539-b659-e03a34a5e1e4",
            *_several(*_FOLDER_IDS, f"{_FOLDER}LogicalID"),
            one_of=(*_FOLDER_IDS, f"{_FOLDER}LogicalID"),
        ),
        _query(
            "GetAssociations",
            "a7ae438b-4bc2-4642-93e9-be891f7bb155",
            *_several("$uuid", required=True),
            *_ASSOCIATIONS,
        ),
        _query(
            "GetDocumentsAndAssociations",
            "bab9529a-4a10-40b3-a01f-f68a615d247a",
            *_several(*_ENTRY_IDS),
            *_ASSOCIATIONS,
            one_of=_ENTRY_IDS,
        ),
        _query(
            "GetSubmissionSets",
            "51224314-5390-4169-9b91-b1980040715a",
            *_several("$uuid", required=True),
            *_ASSOCIATIONS,
        ),
        _query(
            "GetSubmissionSetAndContents",
            "e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
            *_one(*_SET_IDS),
            *_WHICH,
            *_ASSOCIATIONS,
            one_of=_SET_IDS,
        ),
        _query(
            "GetFolderAndContents",
            "b909a503-523d-4517-8acf-8e5834dfc4c7",
            *_one(*_FOLDER_IDS),
            *_WHICH,
            *_ASSOCIATIONS,
            one_of=_FOLDER_IDS,
        ),
        _query(
            "GetFoldersForDocument",
            "10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
            *_one(*_ENTRY_IDS),
            *_ASSOCIATIONS,
            one_of=_ENTRY_IDS,
        ),
        _query(
            "GetRelatedDocuments",
            "d90e5407-b356-4d91-a89f-873917b4b0e6",
            *_one(*_ENTRY_IDS),
            *_several("$AssociationTypes", required=True),
            *_several(f"{_ENTRY}Type"),
            *_ASSOCIATIONS,
            one_of=_ENTRY_IDS,
        ),
    )
}
"""Every stored query by its id (``urn:uuid:...``)."""
