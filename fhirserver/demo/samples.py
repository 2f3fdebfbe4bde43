"""The synthetic samples about one fictional person, and the door each goes through."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

Door = Literal["fhir", "mllp", "cda", "xdm", "xds"]

INS_SYSTEM = "urn:oid:1.2.250.1.213.1.4.10"
INS = "284036938304291"
"""The fictional person: an INS of the test kind."""

FOLDER = Path(__file__).parents[2] / "samples"
"""Where the samples are in a checkout."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A file (for ``xdm`` a folder to zip), the door it is sent to and whether it is meant to be held."""

    name: str
    door: Door
    title: str
    held: bool = False

    def content(self, folder: Path) -> bytes:
        """What is sent. Raises FileNotFoundError when the folder has no such sample."""
        path = folder / self.name
        return zipped(path) if self.door == "xdm" else path.read_bytes()


SAMPLES = (
    Sample("bundle.json", "fhir", "Identity, an allergy, a message from her doctor"),
    Sample("document.json", "fhir", "A document published by her doctor's software"),
    Sample("adt-a01.hl7", "mllp", "Admission to hospital"),
    Sample("oru-r01.hl7", "mllp", "Blood count from the laboratory"),
    Sample("mdm-t02.hl7", "mllp", "Consultation report from the hospital"),
    Sample("vxu-v04.hl7", "mllp", "Vaccinations, one of them refused"),
    Sample("vaccination-note.xml", "cda", "Vaccination note with an allergy"),
    Sample("xdm", "xdm", "Discharge letter as a submission set"),
    Sample("iti-41.xml", "xds", "X-ray report, published over SOAP"),
    Sample("siu-s12.hl7", "mllp", "An appointment"),
    Sample("dft-p03.hl7", "mllp", "A charge: no mapping, so it is held", held=True),
)


def zipped(folder: Path) -> bytes:
    """Zip a folder; the same files give the same bytes.

    Raises:
        FileNotFoundError: the folder does not exist or is empty.
    """
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=(2025, 10, 9, 17, 46, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    if not found:
        raise FileNotFoundError(f"{folder} has no files")
    yield from found
