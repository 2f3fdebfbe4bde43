"""An XDM zip -> the submission it carries. https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html"""

import hashlib
from dataclasses import dataclass, field

from mappings.core.result import Issue, Unreadable
from mappings.xds.archive import Archive, Limits, open_archive
from mappings.xds.metadata import Association, RegistryObject, read_metadata
from mappings.xds.vihf import Assertion

_METADATA = "metadata.xml"


@dataclass(frozen=True, slots=True)
class Document:
    """A DocumentEntry and the bytes it describes; None: another repository has them."""

    entry: RegistryObject
    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subset:
    """One submission set with its documents: what one METADATA.XML describes."""

    path: str
    submission_set: RegistryObject
    documents: list[Document]
    folders: list[RegistryObject]
    associations: list[Association]


@dataclass(frozen=True, slots=True)
class Submission:
    """What was sent together: one subset, or several (SUBSET01, SUBSET02 of an XDM zip).

    ``assertion`` says by whom, where it came over SOAP.
    """

    subsets: list[Subset]
    issues: list[Issue]
    assertion: Assertion | None = None


def read_xdm(raw: bytes, *, limits: Limits | None = None) -> Submission:
    """Read an XDM zip; every document is there and is what its entry says, or nothing is read.

    METADATA.XML may be in any folder; INDEX.HTM and README.TXT are not needed.

    Raises:
        Unreadable: an unsafe or damaged zip, no or wrong metadata, a document that is missing or has another
            size or SHA-1 hash than its entry says.
    """
    archive = open_archive(raw, limits or Limits())
    paths = sorted(p for p in archive.files if p.casefold().rpartition("/")[2] == _METADATA)
    if not paths:
        raise Unreadable("The zip has no METADATA.XML")
    issues: list[Issue] = []
    subsets = []
    for path in paths:
        metadata = read_metadata(archive.files[path])
        issues += metadata.issues
        documents = [Document(entry, _document(archive, path, entry)) for entry in metadata.entries]
        subsets.append(
            Subset(path, metadata.submission_set, documents, metadata.folders, metadata.associations)
        )
    return Submission(subsets, issues)


def check_document(entry: RegistryObject, data: bytes) -> None:
    """Compare a document's bytes with the size and hash in its entry, where it has them.

    Raises:
        Unreadable: they differ; the issue names the entry.
    """
    size, digest = entry.slot("size"), entry.slot("hash").lower()
    if size.isdecimal() and int(size) != len(data):
        raise refused(entry, f"has {len(data)} bytes, its entry says {size}", "invariant")
    if digest and digest != hashlib.sha1(data, usedforsecurity=False).hexdigest():
        raise refused(entry, "has another SHA-1 hash than its entry", "invariant")


def _document(archive: Archive, metadata_path: str, entry: RegistryObject) -> bytes:
    """The file of an entry: its URI is relative to the metadata, to IHE_XDM or to the top, in any case."""
    if "URI" not in entry.slots:
        raise refused(entry, "has no URI", "required")
    uri = entry.uri.replace("\\", "/")
    folder = metadata_path.rpartition("/")[0]
    folders = [folder, folder.rpartition("/")[0], ""]
    candidates = [f"{parent}/{uri}" if parent else uri for parent in folders]
    found = next((p for c in candidates if (p := archive.find(c))), None)
    found = found or next((p for c in candidates if (p := archive.find_short(c))), None)
    if found is None:
        raise refused(entry, f"is not in the zip: {uri}", "not-found")
    data = archive.files[found]
    if data.startswith(b"PK\x03\x04"):
        raise refused(entry, "is an archive inside the archive", "security")
    check_document(entry, data)
    return data


def refused(
    entry: RegistryObject, what: str, code: str, fault: str = "XDSRepositoryMetadataError"
) -> Unreadable:
    """What is said of a document that is not as its entry says."""
    text = f"The document {entry.unique_id} {what}"
    return Unreadable(text, Issue("error", code, text, f"DocumentEntry {entry.id!r}", fault))
