"""Documents of one submission that replace each other: said by an association, by a CDA header, or by being
versions of one set (setId and versionNumber). Documents are named by their entries' fullUrls."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

from mappings.cda import ClinicalDocument
from mappings.core.bundle import full_url
from mappings.core.result import Element
from mappings.xds.submission import Submission

REPLACES = frozenset({"RPLC", "XFRM_RPLC"})


def document_url(master: Element) -> str:
    """The fullUrl of the DocumentReference with this uniqueId."""
    return full_url("DocumentReference", master["system"], master["value"])


def superseded(
    submission: Submission, urls: Mapping[tuple[str, str], str], documents: Mapping[str, ClinicalDocument]
) -> dict[str, str]:
    """Which document is replaced by which other one of the submission.

    ``urls`` are the documents by the subset's path and the entry's id, ``documents`` those that are CDA.
    """
    replaced: dict[str, str] = {}
    for subset in submission.subsets:
        for association in subset.associations:
            older = urls.get((subset.path, association.target))
            newer = urls.get((subset.path, association.source))
            if association.type in REPLACES and older and newer and older != newer:
                replaced.setdefault(older, newer)
    for newer, document in documents.items():
        for parent in document.replaces:
            if (older := document_url(parent)) in documents and older != newer:
                replaced.setdefault(older, newer)
    for versions in _sets(documents).values():
        for (_, older), (_, newer) in pairwise(versions):
            replaced.setdefault(older, newer)
    return replaced


def _sets(documents: Mapping[str, ClinicalDocument]) -> dict[tuple[str, str, str], list[tuple[int, str]]]:
    """The versions of each document, in order; the type is part of it because setIds are copied."""
    sets: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for url, document in documents.items():
        if document.set_id is not None and document.version_number is not None:
            coding: Element = next(iter((document.code or {}).get("coding", [])), {})
            key = (document.set_id["system"], document.set_id["value"], coding.get("code", ""))
            sets[key].append((document.version_number, url))
    ordered = {key: sorted(versions) for key, versions in sets.items()}
    # Two documents with one number are none the later version of the other.
    return {k: v for k, v in ordered.items() if len({number for number, _ in v}) == len(v)}
