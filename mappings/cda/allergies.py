"""Allergy entries -> AllergyIntolerance. CI-SIS FR-Allergie-ou-hypersensibilite, IHE PCC Allergies.

An allergy that is not one is worse than a missing remark: what says "none" in words, is negated, or has
nothing that speaks for it never becomes an allergy.
"""

import re

from mappings.cda.body import Identities, is_negated, notes, related, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ts_to_datetime
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import assigned_to_reference
from mappings.cda.xml import Node, text_of
from mappings.core.bundle import full_url, prune, put
from mappings.core.result import Element

ELEMENTS = frozenset(
    {
        *("identifier", "clinicalStatus", "verificationStatus", "type", "category", "criticality", "code"),
        *("patient", "onsetDateTime", "recordedDate", "recorder", "note", "reaction"),
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

TEMPLATES = frozenset({"1.2.250.1.213.1.1.3.41", "1.3.6.1.4.1.19376.1.5.3.1.4.6"})
_SNOMED = "http://snomed.info/sct"
_ABSENT_UNKNOWN = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"

_KIND: dict[str, tuple[str | None, str | None]] = {
    "416098002": ("allergy", "medication"),
    "414285001": ("allergy", "food"),
    "426232007": ("allergy", "environment"),
    "609328004": ("allergy", None),
    "419199007": ("allergy", None),
    "609398007": ("intolerance", "medication"),
    "59037007": ("intolerance", "medication"),
    "235719002": ("intolerance", "food"),
    "609396006": ("intolerance", None),
    "419511003": (None, "medication"),
    "418471000": (None, "food"),
    "420134006": (None, None),
    "ALG": ("allergy", None),
    "DALG": ("allergy", "medication"),
    "FALG": ("allergy", "food"),
    "EALG": ("allergy", "environment"),
    "NAINT": ("intolerance", None),
    "DNAINT": ("intolerance", "medication"),
    "FNAINT": ("intolerance", "food"),
    "ENAINT": ("intolerance", "environment"),
    "OINT": (None, None),
    "DINT": (None, "medication"),
    "FINT": (None, "food"),
    "EINT": (None, "environment"),
}
"""observation/code (SNOMED CT, v3 ObservationIntoleranceType) -> AllergyIntolerance type and category."""

_NONE_KNOWN = {
    "no-known-allergies": ("716186003", "No known allergy"),
    "no-known-medication-allergies": ("409137002", "No known drug allergy"),
    "no-known-environmental-allergies": ("428607008", "No known environmental allergy"),
    "no-known-food-allergies": ("429625007", "No known food allergy"),
}
"""JDV_AbsentOrUnknownAllergy -> the SNOMED CT code that asserts the same."""

_NONE_OF_CATEGORY = {
    "medication": "no-known-medication-allergies",
    "food": "no-known-food-allergies",
    "environment": "no-known-environmental-allergies",
    None: "no-known-allergies",
}
_SAYS_NONE = re.compile(
    r"""^\s*(aucun|absence|n[ée]ant|ras\b|none\b|nil\b|non\W*$|-+\s*$)
    | \b(pas\ d|aucune?\ |absence\ d|sans\ |ni\ )\W?e?\ ?(allergi|intol[ée]ran|hypersensib|ant[ée]c[ée]dent)
    | \bnon\ (allergi|connu|rapport|signal|identifi|retrouv)
    | \bno\ known\b""",
    re.IGNORECASE | re.VERBOSE,
)

_CLINICAL_STATUS = {
    "active": "active",
    "inactive": "inactive",
    "resolved": "resolved",
    "55561003": "active",
    "73425007": "inactive",
    "413322009": "resolved",
}
_CERTAINTY = {
    "confirmed": "confirmed",
    "unconfirmed": "unconfirmed",
    "presumed": "unconfirmed",
    "refuted": "refuted",
    "entered-in-error": "entered-in-error",
    "410605003": "confirmed",
    "415684004": "unconfirmed",
    "410592001": "unconfirmed",
    "410516002": "refuted",
}
_CRITICALITY = {
    "low": "low",
    "high": "high",
    "unable-to-assess": "unable-to-assess",
    "CRITL": "low",
    "CRITH": "high",
    "CRITU": "unable-to-assess",
    "62482003": "low",
    "75540009": "high",
}
_SEVERITY = {
    "255604002": "mild",
    "6736007": "moderate",
    "24484000": "severe",
    "mild": "mild",
    "moderate": "moderate",
    "severe": "severe",
    "L": "mild",
    "M": "moderate",
    "H": "severe",
}
_STATUS_CODE, _CERTAINTY_CODE, _CRITICALITY_CODE, _SEVERITY_CODE = "33999-4", "66455-7", "82606-5", "SEV"


def allergies(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The allergy entries of a document (PUT)."""
    entries = []
    for node in statements(document, "observation", TEMPLATES, context):
        identifiers = identities.identify("allergy", node)
        if allergy := _observation_to_allergy(node, context):
            resource = prune(
                {"resourceType": "AllergyIntolerance", "identifier": identifiers, **allergy}
                | {"patient": {"reference": patient}}
            )
            url = full_url("AllergyIntolerance", identifiers[0]["value"])
            entries.append(put(url, resource, identifiers[0]))
    return entries


def _observation_to_allergy(node: Node, context: Context) -> Element | None:
    code, value = node.find("code"), node.find("value")
    sent_code = "" if code is None else (code.get("code") or "").strip()
    kind = _KIND.get(sent_code, (None, None))
    manifestation = cd_to_codeable_concept(value, context)
    agent = _agent(node, context)
    absent = _absent_code(cd_to_codeable_concept(code, context), manifestation, agent)
    negated = is_negated(node) or _is_negated_concern(node)
    if absent and negated:
        context.warn(node, f"{absent[1]!r} is negated, which contradicts itself: nothing is asserted")
        return None
    if absent or (negated and not agent):
        return _none_known(node, absent, kind[1], context)
    said = context.text(node.find("text")), (manifestation or {}).get("text", "")
    shown = _displays(manifestation)
    if not agent:
        if any(_SAYS_NONE.search(text) for text in (*said, *shown) if text):
            context.warn(
                node, "Says in words that there is none, under the code of an allergy: nothing is asserted"
            )
            return None
        if not shown and not any(said) and not _onset(node, context):
            context.warn(
                node, "Has neither an agent, a text, a manifestation nor a date: nothing is asserted"
            )
            return None
        label = "" if code is None else (code.get("displayName") or "").strip()
        agent = {"text": f"{label or 'allergie'} (agent non précisé)"}
        context.warn(node, "The agent of the allergy is not given", "incomplete")
    if sent_code and sent_code not in _KIND:
        context.warn(
            node, f"Unknown kind of allergy {sent_code!r}; type and category are left out", "code-invalid"
        )
    remarks = notes(node, context)
    reactions = _reactions(node, manifestation if shown else None, remarks, context)
    end = ts_to_datetime(node.find("effectiveTime/high"), context)
    if not shown and said[1] and said[1] not in (agent.get("text"), said[0]):
        remarks.append({"text": said[1]})
    if end:
        remarks.append({"text": f"Fin : {end}"})
    return {
        **_status(node, negated, end, context),
        "type": kind[0],
        "category": [kind[1]],
        "criticality": _one_of(node, _CRITICALITY_CODE, _CRITICALITY, context),
        "code": agent,
        "onsetDateTime": _onset(node, context),
        **_recorded(node, context),
        "reaction": _with_severity(node, reactions, remarks, context),
        "note": remarks,
    }


def _none_known(
    node: Node, absent: tuple[Element, str] | None, category: str | None, context: Context
) -> Element | None:
    """An assertion that there is no (such) allergy; None when it only says that nothing is known."""
    code = absent[1] if absent else _NONE_OF_CATEGORY[category]
    if code not in _NONE_KNOWN:
        context.inform(node, f"{code}: there is no information, so nothing is asserted")
        return None
    snomed, display = _NONE_KNOWN[code]
    codings = [{"system": _SNOMED, "code": snomed, "display": display}]
    codings.append(absent[0] if absent else {"system": _ABSENT_UNKNOWN, "code": code})
    return {
        "clinicalStatus": _coded(_CLINICAL, "active"),
        "code": {"coding": codings},
        **_recorded(node, context),
        "note": notes(node, context),
    }


def _absent_code(*concepts: Element | None) -> tuple[Element, str] | None:
    """The coding that says there is no allergy or no information, and its JDV_AbsentOrUnknownAllergy code."""
    same = {snomed: code for code, (snomed, _) in _NONE_KNOWN.items()} | {"160244002": "no-known-allergies"}
    for concept in concepts:
        for coding in (concept or {}).get("coding", []):
            if coding.get("system") == _ABSENT_UNKNOWN:
                return coding, coding["code"]
            if coding.get("system") == _SNOMED and coding["code"] in same:
                return {"system": _ABSENT_UNKNOWN, "code": same[coding["code"]]}, same[coding["code"]]
    return None


def _agent(node: Node, context: Context) -> Element | None:
    """What it is an allergy to: the consumable participant's code and name."""
    entities = [
        entity
        for participant in node.findall("participant")
        if participant.get("typeCode") == "CSM"
        for entity in participant.findall("participantRole/playingEntity")
    ]
    if len(entities) > 1:
        context.warn(node, f"{len(entities)} agents in one entry; only the first is mapped", "not-supported")
    for entity in entities[:1]:
        concept = cd_to_codeable_concept(entity.find("code"), context) or {}
        if name := text_of(entity.find("name")):
            concept.setdefault("text", name)
        return concept or None
    return None


def _status(node: Node, negated: bool, end: str | None, context: Context) -> Element:
    """The status observation wins over the act's statusCode, which is "completed" for any finished act.

    Without it the allergy is active, unless the entry says when it ended; R4 requires a status.
    """
    verification = "refuted" if negated else _one_of(node, _CERTAINTY_CODE, _CERTAINTY, context)
    status = _one_of(node, _STATUS_CODE, _CLINICAL_STATUS, context)
    if status is None:
        status = "resolved" if end else "active"
        if not related(node, _STATUS_CODE, context) and not negated:
            context.warn(node, f"No clinical status was sent; read as {status}", "incomplete")
    if verification == "refuted":
        status = "inactive"
    return {
        "clinicalStatus": None if verification == "entered-in-error" else _coded(_CLINICAL, status),
        "verificationStatus": _coded(_VERIFICATION, verification) if verification else None,
    }


def _reactions(node: Node, label: Element | None, remarks: list[Element], context: Context) -> list[Element]:
    """MFST observations, and the entry's own coded value (a condition or manifestation, never the agent).

    A negated one is only a remark: real documents negate what their narrative states.
    """
    reactions: list[Element] = []
    for relationship in node.findall("entryRelationship"):
        if relationship.get("typeCode") != "MFST":
            continue
        for observation in relationship.findall("observation"):
            context.read.add(observation)
            value = cd_to_codeable_concept(observation.find("value"), context)
            text = context.text(observation.find("text"))
            if is_negated(observation):
                context.warn(observation, "A reaction is negated; it is kept as a remark only")
                said = next((words for words in (text, *_displays(value)) if words), "sans texte")
                remarks.append({"text": f"Réaction envoyée comme absente (negationInd) : {said}"})
            elif manifestation := value or ({"text": text} if text else None):
                reaction = {
                    "manifestation": [manifestation],
                    "onset": ts_to_datetime(observation.find("effectiveTime/low"), context)
                    or ts_to_datetime(observation.find("effectiveTime"), context),
                    "severity": _one_of(observation, _SEVERITY_CODE, _SEVERITY, context),
                    "note": notes(observation, context),
                }
                reactions.append(reaction)
    known = [coding for r in reactions for coding in r["manifestation"][0].get("coding", [])]
    if label and not any(coding in known for coding in label.get("coding", [])):
        reactions.append({"manifestation": [label]})
    return reactions


def _with_severity(
    node: Node, reactions: list[Element], remarks: list[Element], context: Context
) -> list[Element]:
    """A severity on the allergy itself is that of its only reaction; else it can only be a remark."""
    severity = _one_of(node, _SEVERITY_CODE, _SEVERITY, context)
    if severity is None:
        return reactions
    if not reactions:
        return [{"manifestation": [{"text": "non précisée"}], "severity": severity}]
    if len(reactions) == 1:
        return [{"severity": severity} | {k: v for k, v in reactions[0].items() if v}]
    remarks.append({"text": f"Gravité : {severity}"})
    return reactions


def _displays(concept: Element | None) -> list[str]:
    return [coding.get("display", "") for coding in (concept or {}).get("coding", [])]


def _recorded(node: Node, context: Context) -> Element:
    """Who recorded it and when: from the entry, else from the concern act around it."""
    nodes = [node, *_concern(node)]
    times = [part.find("effectiveTime/low") for part in nodes[1:]] + [
        part.find("author/time") for part in nodes
    ]
    authors = [part.find("author/assignedAuthor") for part in nodes]
    recorder = next((r for a in authors if (r := assigned_to_reference(a, context))), None)
    return {
        "recordedDate": next((time for t in times if (time := ts_to_datetime(t, context))), None),
        "recorder": recorder,
    }


def _onset(node: Node, context: Context) -> str | None:
    low = ts_to_datetime(node.find("effectiveTime/low"), context)
    return low or ts_to_datetime(node.find("effectiveTime"), context)


def _concern(node: Node) -> list[Node]:
    relationship = node.getparent()
    act = None if relationship is None else relationship.getparent()
    return [act] if act is not None and act.tag == "act" else []


def _is_negated_concern(node: Node) -> bool:
    return any(is_negated(act) for act in _concern(node))


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


def _coded(system: str, code: str) -> Element:
    return {"coding": [{"system": system, "code": code}]}
