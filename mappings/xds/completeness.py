"""What XDS requires of metadata that are registered. IHE ITI TF-3 4.2.3.1, tables 4.2.3.1-1 to -3"""

from typing import Final

from mappings.core.result import Issue
from mappings.core.times import NotATime, parse
from mappings.xds.metadata import (
    CLASS_CODE,
    CONFIDENTIALITY_CODE,
    CONTENT_TYPE_CODE,
    FACILITY_TYPE_CODE,
    FOLDER_CODE,
    FORMAT_CODE,
    PRACTICE_SETTING_CODE,
    SOURCE_ID,
    TYPE_CODE,
    Kind,
    Metadata,
    RegistryObject,
)

_CODES: Final[dict[Kind, dict[str, str]]] = {
    "DocumentEntry": {
        "classCode": CLASS_CODE,
        "typeCode": TYPE_CODE,
        "formatCode": FORMAT_CODE,
        "confidentialityCode": CONFIDENTIALITY_CODE,
        "healthcareFacilityTypeCode": FACILITY_TYPE_CODE,
        "practiceSettingCode": PRACTICE_SETTING_CODE,
    },
    "SubmissionSet": {"contentTypeCode": CONTENT_TYPE_CODE},
    "Folder": {"codeList": FOLDER_CODE},
}
_SLOTS: Final[dict[Kind, tuple[str, ...]]] = {
    "DocumentEntry": ("creationTime", "languageCode", "sourcePatientId"),
    "SubmissionSet": ("submissionTime",),
    "Folder": (),
}
"""patientId and uniqueId are required by whoever reads metadata (``metadata_of``)."""
_TIMES: Final = ("creationTime", "serviceStartTime", "serviceStopTime", "submissionTime", "lastUpdateTime")


def missing_attributes(metadata: Metadata, fault: str) -> list[Issue]:
    """An issue for each required attribute that an object does not have, and each that cannot be read."""
    found: list[Issue] = []
    for each in (metadata.submission_set, *metadata.entries, *metadata.folders):
        where = f"{each.kind} {each.id!r}"
        told = [("required", f"has no {name}") for name in _missing(each)]
        told += [("value", text) for text in _unreadable(each)]
        found += [Issue("error", code, f"{where} {text}", where, fault) for code, text in told]
    return found


def _unreadable(found: RegistryObject) -> list[str]:
    told = [f"has a {name} that is no time" for name in _TIMES if not _is_time(found.slot(name))]
    if (size := found.slot("size")) and not size.isdecimal():
        told.append("has a size that is no number")
    return told


def _is_time(value: str) -> bool:
    """Whether it can be read, or there is none."""
    try:
        return not value or bool(parse(value))
    except NotATime:
        return False


def _missing(found: RegistryObject) -> list[str]:
    missing = [name for name in _SLOTS[found.kind] if not found.slot(name)]
    missing += [
        name
        for name, scheme in _CODES[found.kind].items()
        if not any(code.code and code.coding_scheme for code in found.codes(scheme))
    ]
    if found.kind == "SubmissionSet" and not found.identifiers.get(SOURCE_ID):
        missing.append("sourceId")
    return missing
