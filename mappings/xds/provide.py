"""What is submitted over SOAP -> the submission: documents with their metadata, or metadata alone.

Provide and Register Document Set-b (ITI-41), https://profiles.ihe.net/ITI/TF/Volume2/ITI-41.html; Register
Document Set-b (ITI-42), https://profiles.ihe.net/ITI/TF/Volume2/ITI-42.html
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mappings.cda.xml import Node
from mappings.core.bundle import full_url
from mappings.core.result import Issue, NoMapping, Unreadable
from mappings.xds.ebrs import LCM, XDSB
from mappings.xds.metadata import ENTRY_UUID_NAME, Metadata, RegistryObject, metadata_of
from mappings.xds.soap import envelope, mime
from mappings.xds.soap.faults import Fault
from mappings.xds.submission import Document, Submission, Subset, check_document, refused
from mappings.xds.vihf import assertion_of, read_assertion

PROVIDE: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
UPDATE: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
REGISTER: Final = "urn:ihe:iti:2007:RegisterDocumentSet-b"

_PROVIDED: Final = f"{{{XDSB}}}ProvideAndRegisterDocumentSetRequest"
_REGISTERED: Final = f"{{{LCM}}}SubmitObjectsRequest"
_DOCUMENT: Final = f"{{{XDSB}}}Document"


def read_request(raw: bytes, content_type: str = "") -> Submission:
    """Read a whole HTTP body again, as it was stored.

    Raises:
        Unreadable: it is no such message, or its documents and metadata do not agree.
    """
    try:
        message = mime.read(raw, content_type)
        asked = envelope.read(message.envelope, message.action)
        if asked.action == UPDATE:
            raise NoMapping("An update of metadata (ITI-57) is only taken at the registry's endpoint")
    except (Fault, mime.UnknownMediaType) as error:
        raise Unreadable(str(error)) from None
    except envelope.VersionMismatch:
        raise Unreadable("The message is SOAP 1.1; 1.2 is read") from None
    if asked.action not in (PROVIDE, REGISTER):
        raise _unreadable(f"The message is no submission but {asked.action[:200]}", "not-supported")
    submission = read_submission(asked.body, message)
    try:
        node = None if asked.security is None else assertion_of(asked.security)
        assertion = None if node is None else read_assertion(node)
    except Unreadable as error:
        submission.issues.append(Issue("warning", "security", str(error), "wsse:Security"))
        return submission
    return replace(submission, assertion=assertion)


def read_submission(body: Node, message: mime.Message) -> Submission:
    """Read what soap:Body has; every document is there and is what its entry says, or nothing is read.

    Raises:
        Unreadable: as above; the issues' ``fault`` is the code of the RegistryError.
    """
    if body.tag == _PROVIDED:
        requests = body.findall(_REGISTERED)
        if len(requests) != 1:
            raise _unreadable(f"There are {len(requests)} SubmitObjectsRequests; one is needed", "structure")
        metadata = _metadata(requests[0], "XDSRepositoryMetadataError")
        documents = _provided(metadata, _contents(body, message))
    elif body.tag == _REGISTERED:
        metadata = _metadata(body, "XDSRegistryMetadataError")
        documents = [_registered(entry) for entry in metadata.entries]
    else:
        raise _unreadable(f"The body is no submission but {str(body.tag)[:200]}", "structure")
    for found in (metadata.submission_set, *metadata.entries, *metadata.folders):
        _name(found)
    subset = Subset("", metadata.submission_set, documents, metadata.folders, metadata.associations)
    return Submission([subset], metadata.issues)


def metadata_node(body: Node) -> Node:
    """What of soap:Body describes the documents; all of it, where it is something else."""
    node = body.find(_REGISTERED)
    return body if node is None else node


def _metadata(node: Node, fault: str) -> Metadata:
    try:
        return metadata_of(copy.deepcopy(node))
    except Unreadable as error:
        issues = (replace(issue, fault=issue.fault or fault) for issue in error.issues)
        raise Unreadable(str(error), *issues) from None


def _contents(body: Node, message: mime.Message) -> dict[str, bytes]:
    """The documents' bytes by their ids. Raises Unreadable."""
    contents: dict[str, bytes] = {}
    for node in body.findall(_DOCUMENT):
        id = (node.get("id") or "").strip()
        if id in contents:
            text = f"Two documents have the id {id[:100]!r}"
            raise _unreadable(text, "duplicate", "XDSRepositoryMetadataError")
        try:
            content = message.content(node)
        except ValueError:
            raise _unreadable(f"The document {id[:100]!r} is not base64", "value", _INVALID) from None
        if content is None:
            text = f"The document {id[:100]!r} includes a part that the message does not have"
            raise _unreadable(text, "not-found", "XDSMissingDocument")
        if not content:
            raise _unreadable(f"The document {id[:100]!r} is empty", "value", _INVALID)
        contents[id] = content
    return contents


_INVALID: Final = "InvalidDocumentContent"


def _provided(metadata: Metadata, contents: Mapping[str, bytes]) -> list[Document]:
    documents = []
    for entry in metadata.entries:
        if entry.id not in contents:
            raise refused(entry, "is not in the message", "not-found", "XDSMissingDocument")
        check_document(entry, contents[entry.id])
        documents.append(Document(entry, contents[entry.id]))
    for id in contents.keys() - {entry.id for entry in metadata.entries}:
        text = f"The document {id[:100]!r} has no entry in the metadata"
        raise _unreadable(text, "not-found", "XDSMissingDocumentMetadata")
    return documents


def _registered(entry: RegistryObject) -> Document:
    """A document that another repository has: its entry must say which, and what it is."""
    for name in ("repositoryUniqueId", "hash", "size"):
        if not entry.slot(name):
            raise refused(entry, f"has no {name}", "required", "XDSRegistryMetadataError")
    if not entry.slot("size").isdecimal():
        raise refused(entry, "has a size that is no number", "value", "XDSRegistryMetadataError")
    try:
        digest = bytes.fromhex(entry.slot("hash"))
    except ValueError:
        digest = b""
    if len(digest) != 20:
        raise refused(entry, "has a hash that is no SHA-1", "value", "XDSRegistryMetadataError")
    return Document(entry, None)


def _name(found: RegistryObject) -> None:
    """Give an object with a symbolic id its entryUUID, as a registry does; the same each time."""
    if not found.entry_uuid:
        found.identifiers[ENTRY_UUID_NAME] = full_url("entryUUID", found.unique_id)


def _unreadable(text: str, code: str, fault: str = "") -> Unreadable:
    return Unreadable(text, Issue("error", code, text, fault=fault))
