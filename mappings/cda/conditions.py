"""Problems -> Condition. CI-SIS FR-Liste-des-problemes, FR-Probleme; IHE PCC Problem Entry."""

import re
from typing import Final

from mappings.cda.body import Identities, has_template, is_negated, notes, related, section_codes, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ts_to_datetime
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import assigned_to_reference
from mappings.cda.values import status_of
from mappings.cda.xml import Node
from mappings.core.bundle import full_url, prune, put
from mappings.core.result import Element

ELEMENTS: Final = frozenset(
    {
        *("identifier", "clinicalStatus", "verificationStatus", "category", "severity", "code", "bodySite"),
        *("subject", "onsetDateTime", "abatementDateTime", "recordedDate", "recorder", "note"),
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

TEMPLATES: Final = frozenset({"1.2.250.1.213.1.1.3.37", "1.3.6.1.4.1.19376.1.5.3.1.4.5"})
CONCERN: Final = frozenset(
    {"1.2.250.1.213.1.1.3.39", "1.3.6.1.4.1.19376.1.5.3.1.4.5.1", "1.3.6.1.4.1.19376.1.5.3.1.4.5.2"}
)
_DIAGNOSES: Final = {"282291009", "55607006", "64572001", "G-1009", "29308-4", "439401001"}
"""Kinds of problem (SNOMED CT, SNOMED 3.5, LOINC) that are one without a concern around them; a finding of an
examination ("normal hearing") is not."""

_ABSENT_UNKNOWN: Final = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_NONE_KNOWN: Final = {
    "system": "http://snomed.info/sct",
    "code": "160245001",
    "display": "No current problems",
}
_CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/condition-category"
_FAMILY_HISTORY: Final = "10157-6"
_HISTORY: Final = {"11348-0", "8677-7"}
_ENCOUNTER: Final = {"46241-6", "11535-2", "42347-5", "78375-3"}
"""Sections of the diagnoses of a stay: admission, discharge."""

_STATUS_CODE, _SEVERITY_CODE, _CERTAINTY_CODE = "33999-4", "SEV", "66455-7"
_CLINICAL_STATUS: Final = {
    **{code: code for code in ("active", "inactive", "resolved", "remission", "recurrence", "relapse")},
    "55561003": "active",
    "73425007": "inactive",
    "413322009": "resolved",
    "277022003": "remission",
    "246455001": "recurrence",
    "263855007": "relapse",
}
_CERTAINTY: Final = {
    **{code: code for code in ("confirmed", "unconfirmed", "provisional", "differential", "refuted")},
    "presumed": "provisional",
    "410605003": "confirmed",
    "415684004": "provisional",
    "410592001": "provisional",
    "410516002": "refuted",
}
_SAYS_NONE: Final = re.compile(
    r"^\s*(aucune?\b|absence d|n[ée]ant\b|ras\b|none\b|nil\b|non\W*$|-+\s*$|pas d['e])", re.IGNORECASE
)


def conditions(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The problems of a document (PUT); what an examination found and what runs in the family are none."""
    entries = []
    for node in list(statements(document, "observation", TEMPLATES, context)):
        concern = _concern(node)
        code = node.find("code")
        if concern is None and (_relates(node) or code is None or code.get("code") not in _DIAGNOSES):
            context.read.discard(node)
            continue
        context.read.update([concern] if concern is not None else [])
        identifiers = identities.identify("condition", node)
        if _FAMILY_HISTORY in section_codes(node):
            context.inform(node, "Not mapped: it is of the family's history", "not-supported")
        elif condition := _observation_to_condition(node, concern, context):
            resource = prune(
                {"resourceType": "Condition", "identifier": identifiers, **condition}
                | {"subject": {"reference": patient}}
            )
            entries.append(put(full_url("Condition", identifiers[0]["value"]), resource, identifiers[0]))
    return entries


def _observation_to_condition(node: Node, concern: Node | None, context: Context) -> Element | None:
    problem = cd_to_codeable_concept(node.find("value"), context)
    said = context.text(node.find("text"))
    negated = is_negated(node)
    for coding in (problem or {}).get("coding", []):
        if coding.get("system") == _ABSENT_UNKNOWN:
            return _none_known(node, coding, negated, context)
    if problem is None and said:
        problem = {"text": said}
    if problem is None:
        context.warn(node, "The problem is neither coded nor described: nothing is asserted", "incomplete")
        return None
    if "coding" not in problem and _SAYS_NONE.search(problem["text"]):
        context.warn(node, "Says in words that there is none: nothing is asserted")
        return None
    time = node.find("effectiveTime")
    low, high = (None, None) if time is None else (time.find("low"), time.find("high"))
    end = ts_to_datetime(high, context)
    author = node.find("author")
    author = concern.find("author") if author is None and concern is not None else author
    recorder = None if author is None else assigned_to_reference(author.find("assignedAuthor"), context)
    return {
        **_status(node, concern, negated, end, context),
        "severity": _value(node, _SEVERITY_CODE, context),
        "code": problem,
        "bodySite": [cd_to_codeable_concept(node.find("targetSiteCode"), context)],
        "onsetDateTime": ts_to_datetime(low, context) or ts_to_datetime(time, context),
        "abatementDateTime": end,
        "recordedDate": None if author is None else ts_to_datetime(author.find("time"), context),
        "recorder": recorder,
        "note": notes(node, context) + (notes(concern, context) if concern is not None else []),
    }


def _none_known(node: Node, coding: Element, negated: bool, context: Context) -> Element | None:
    """An assertion that there is no known problem; None when it only says that nothing is known."""
    if negated or coding["code"] != "no-known-problems":
        context.inform(node, f"{coding['code']}: there is no information, so nothing is asserted")
        return None
    return {
        "clinicalStatus": _coded(_CLINICAL, "active"),
        "category": [_coded(_CATEGORY, "problem-list-item")],
        "code": {"coding": [_NONE_KNOWN, coding]},
    }


def _status(node: Node, concern: Node | None, negated: bool, end: str | None, context: Context) -> Element:
    """The status observation wins; then the end, the concern's status, and the section it stands in.

    French lists write "completed" on concerns that go on: alone it says nothing.
    """
    verification = "refuted" if negated else _one_of(node, _CERTAINTY_CODE, _CERTAINTY, context)
    sections = set(section_codes(node))
    status = _one_of(node, _STATUS_CODE, _CLINICAL_STATUS, context)
    if status is None:
        act = "" if concern is None else status_of(concern)
        if verification == "refuted":
            status = "inactive"
        elif end:
            status = "resolved"
        elif act in ("suspended", "aborted") or (act != "active" and sections & _HISTORY):
            status = "inactive"
        else:
            status = "active"
            if act != "active":
                context.warn(node, "No clinical status was sent; read as active", "incomplete")
    elif end and status in ("active", "recurrence", "relapse"):
        # con-4: what has ended is not active
        context.warn(node, f"The status is {status}, yet an end is given; read as resolved", "business-rule")
        status = "resolved"
    kind = "encounter-diagnosis" if sections & _ENCOUNTER else "problem-list-item"
    return {
        "clinicalStatus": _coded(_CLINICAL, status),
        "verificationStatus": _coded(_VERIFICATION, verification) if verification else None,
        "category": [_coded(_CATEGORY, kind)],
    }


def _concern(node: Node) -> Node | None:
    relationship = node.getparent()
    act = None if relationship is None else relationship.getparent()
    return act if act is not None and act.tag == "act" and has_template(act, CONCERN) else None


def _relates(node: Node) -> bool:
    """Whether it qualifies another statement: the reaction to something, the reason of something."""
    parent = node.getparent()
    return parent is not None and parent.tag == "entryRelationship"


def _one_of(node: Node, code: str, table: dict[str, str], context: Context) -> str | None:
    """The related observation's value in a table; a value that is not there is an issue."""
    for observation in related(node, code, context):
        value = observation.find("value")
        sent = "" if value is None else (value.get("code") or "").strip()
        if sent in table:
            return table[sent]
        if sent:
            context.warn(observation, f"Unknown code {sent!r} for {code}; it is left out", "code-invalid")
    return None


def _value(node: Node, code: str, context: Context) -> Element | None:
    for observation in related(node, code, context):
        return cd_to_codeable_concept(observation.find("value"), context)
    return None


def _coded(system: str, code: str) -> Element:
    return {"coding": [{"system": system, "code": code}]}
