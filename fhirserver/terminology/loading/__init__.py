"""Files of terminology that an operator provides, read one concept at a time.

    content = read(Path("Loinc_2.81.zip"), Options(), definitions)

The formats are told apart by what the files are called.
"""

from collections.abc import Callable
from pathlib import Path

from fhirserver.model.definitions import Definitions
from fhirserver.terminology.loading import icd, loinc, resources, snomed, svs, tabular
from fhirserver.terminology.loading.content import Content, Options, System, above
from fhirserver.terminology.loading.folder import Folder, Unreadable

__all__ = ["FORMATS", "Content", "Folder", "Options", "System", "Unreadable", "above", "detect", "read"]

Read = Callable[[Folder, Options], Content]

FORMATS: dict[str, tuple[str, Read | None]] = {
    "loinc": (r"Loinc(Table)?(Core)?\.csv", loinc.read),
    "snomed": (snomed.CONCEPTS, snomed.read),
    "cim10": (icd.ATIH, icd.read_atih),
    "icd11": (icd.MMS, icd.read_mms),
    "bdpm": (r"CIS_bdpm.*\.txt", tabular.read_bdpm),
    "atc": (r".*\batc\b.*\.(csv|tsv)|atc_.*\.(csv|tsv)", tabular.read_atc),
    "fhir": (r".*\.(json|ndjson|tgz)", None),
    "svs": (r"JDV.*\.xml", svs.read),
    "claml": (icd.CLAML, icd.read_claml),
    "csv": (r".*\.(csv|tsv|tabs)", tabular.read),
}
"""The formats by name: how their files are called, in the order in which they are looked for, and what
reads them (``fhir``: ``resources.read``, which needs the definitions)."""


def read(path: Path, options: Options, definitions: Definitions, format: str = "") -> Content:
    """The content of a file, folder or zip.

    Raises:
        Unreadable: the format cannot be told, or the files are not of it.
    """
    folder = Folder(path)
    reader = FORMATS[format or detect(folder)][1]
    return reader(folder, options) if reader else resources.read(folder, options, definitions)


def detect(folder: Folder) -> str:
    """The format of the files. Raises Unreadable."""
    xml = folder.find(r".*\.xml")
    if xml and svs.is_svs(folder, xml):
        return "svs"
    for name, (pattern, _) in FORMATS.items():
        if folder.find(pattern):
            return name
    if xml:
        return "fhir"
    raise Unreadable(
        f"What {folder.path} is cannot be told by its name; say it with --format: {', '.join(FORMATS)}"
    )
