"""Invariants of the specification, by key. https://hl7.org/fhir/R4/conformance-rules.html#constraints

Written in Python because a general FHIRPath engine takes a thousand times longer. They rely on well-formed
content; ``Rules.check`` takes care of that. A key that two definitions use for different rules is preceded by
its path.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from fhirserver.model import temporal
from fhirserver.model.definitions import Constraint
from fhirserver.validation import bundle_invariants
from fhirserver.validation.constraints import Holds, Native, Violations

Content = Mapping[str, Any]

_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_UCUM = "http://unitsofmeasure.org"


def has(content: Content, *names: str) -> bool:
    """Whether one of these elements is there; its own extensions make it so, too."""
    for name in names:  # noqa: SIM110 (a generator costs twice as much as what it asks)
        if name in content or "_" + name in content:
            return True
    return False


def has_choice(content: Content, name: str) -> bool:
    """Whether a choice such as value[x] is there, whatever its type."""
    return any(
        key.lstrip("_").startswith(name) and key.lstrip("_")[len(name) :][:1].isupper() for key in content
    )


def has_code(concept: Content | None, system: str, *codes: str) -> bool:
    """Whether a CodeableConcept has one of the codes."""
    for coding in concept.get("coding", ()) if concept else ():
        if coding.get("system") == system and coding.get("code") in codes:
            return True
    return False


def ait_1(allergy: Content) -> bool:
    return has_code(allergy.get("verificationStatus"), _ALLERGY, "entered-in-error") or has(
        allergy, "clinicalStatus"
    )


def ait_2(allergy: Content) -> bool:
    return not has_code(allergy.get("verificationStatus"), _ALLERGY, "entered-in-error") or not has(
        allergy, "clinicalStatus"
    )


def app_4(appointment: Content) -> bool:
    """The expression of the definition says no-show, the code is noshow."""
    return not has(appointment, "cancelationReason") or appointment.get("status") in ("noshow", "cancelled")


def con_4(condition: Content) -> bool:
    return not has_choice(condition, "abatement") or has_code(
        condition.get("clinicalStatus"), _CONDITION, "resolved", "remission", "inactive"
    )


def con_5(condition: Content) -> bool:
    return not has_code(condition.get("verificationStatus"), _VERIFICATION, "entered-in-error") or not has(
        condition, "clinicalStatus"
    )


def ext_1(extension: Content) -> bool:
    nested = "extension" in extension
    for name in extension:
        if name.startswith(("value", "_value")):  # Extension has no other element that begins so.
            return not nested
    return nested


def obs_7(observation: Content) -> bool:
    if not has_choice(observation, "value"):
        return True
    own = {(c.get("system"), c.get("code")) for c in observation["code"].get("coding", ()) if "code" in c}
    return not any(
        (c.get("system"), c.get("code")) in own
        for component in observation.get("component", ())
        for c in component["code"].get("coding", ())
    )


def per_1(period: Content) -> bool:
    start, end = period.get("start"), period.get("end")
    if start is None or end is None or start == end:
        return True
    if len(start) > 10 and len(end) > 10:
        return temporal.interval(start, UTC).low < temporal.interval(end, UTC).high
    # Of different precision: what both of them say is compared.
    shared = min(len(start), len(end), 10)
    return bool(start[:shared] <= end[:shared])


def rng_2(range: Content) -> bool:
    low, high = range.get("low", {}), range.get("high", {})
    if any(low.get(k) != high.get(k) for k in ("system", "code", "unit")):
        return True  # Of different units: comparing these needs their conversion.
    return "value" not in low or "value" not in high or bool(low["value"] <= high["value"])


def rat_1(ratio: Content) -> bool:
    both = "numerator" in ratio and "denominator" in ratio
    return both or (not has(ratio, "numerator", "denominator") and "extension" in ratio)


def age_1(age: Content) -> bool:
    return (
        (has(age, "code") or not has(age, "value"))
        and age.get("system") in (None, _UCUM)
        and ("value" not in age or age["value"] > 0)
    )


def inv_1(parameter: Content) -> bool:
    return ("part" in parameter) + ("resource" in parameter) + has_choice(parameter, "value") == 1


def dom_2(resource: Content) -> Iterator[str]:
    for index, contained in enumerate(resource.get("contained", ())):
        if "contained" in contained:
            yield f".contained[{index}].contained"


def dom_3(resource: Content) -> Iterator[str]:
    if "contained" not in resource:
        return
    fragments = _fragments(resource)
    for index, contained in enumerate(resource["contained"]):
        if f"#{contained.get('id')}" not in fragments and "#" not in _fragments(contained):
            yield f".contained[{index}]"


def dom_4(resource: Content) -> Iterator[str]:
    for index, contained in enumerate(resource.get("contained", ())):
        for name in ("versionId", "lastUpdated"):
            if name in contained.get("meta", {}):
                yield f".contained[{index}].meta.{name}"


def dom_5(resource: Content) -> Iterator[str]:
    for index, contained in enumerate(resource.get("contained", ())):
        if "security" in contained.get("meta", {}):
            yield f".contained[{index}].meta.security"


def _fragments(resource: Content) -> set[str]:
    """Everything that may refer to a contained resource; the rule counts canonicals and uris, too."""
    found: set[str] = set()
    todo: list[Any] = [resource]
    while todo:
        one = todo.pop()
        for item in one.values() if type(one) is dict else one:
            if type(item) is str:
                if item[:1] == "#":
                    found.add(item)
            elif type(item) is dict or type(item) is list:
                todo.append(item)
        if type(one) is dict and type(one.get("div")) is str:  # an image or a link of a narrative
            found.update(_LINKED.findall(one["div"]))
    return found


_LINKED = re.compile(r"""(?:src|href)\s*=\s*["'](#[A-Za-z0-9\-.]{1,64})["']""")


# fmt: off
_HOLDS: dict[str, Holds] = {
    "age-1": age_1,
    "ait-1": ait_1,
    "ait-2": ait_2,
    "app-4": app_4,
    "att-1": lambda attachment: not has(attachment, "data") or has(attachment, "contentType"),
    "cmp-1": lambda section: has(section, "text", "entry", "section"),
    "cmp-2": lambda section: "emptyReason" not in section or "entry" not in section,
    "con-1": lambda stage: has(stage, "summary", "assessment"),
    "con-2": lambda evidence: has(evidence, "code", "detail"),
    "con-4": con_4,
    "con-5": con_5,
    "cpl-3": lambda activity: "detail" not in activity or "reference" not in activity,
    "cpt-2": lambda point: not has(point, "value") or has(point, "system"),
    "ext-1": ext_1,
    "fhs-1": lambda history: not has_choice(history, "age") or not has_choice(history, "born"),
    "fhs-2": lambda history: has_choice(history, "age") or not has(history, "estimatedAge"),
    "grp-1": lambda group: "member" not in group or group.get("actual") is True,
    "imm-1": lambda education: has(education, "documentType", "reference"),
    "lst-1": lambda list_: "emptyReason" not in list_ or "entry" not in list_,
    "obs-3": lambda range_: has(range_, "low", "high", "text"),
    "obs-6": lambda obs: "dataAbsentReason" not in obs or not has_choice(obs, "value"),
    "obs-7": obs_7,
    "org-1": lambda organization: has(organization, "identifier", "name"),
    "pat-1": lambda contact: has(contact, "name", "telecom", "address", "organization"),
    "per-1": per_1,
    "qrs-1": lambda item: "answer" not in item or "item" not in item,
    "qty-3": lambda quantity: not has(quantity, "code") or has(quantity, "system"),
    "rat-1": rat_1,
    "rng-2": rng_2,
    "tim-1": lambda repeat: not has(repeat, "duration") or has(repeat, "durationUnit"),
    "tim-2": lambda repeat: not has(repeat, "period") or has(repeat, "periodUnit"),
    "tim-4": lambda repeat: repeat.get("duration", 0) >= 0,
    "tim-5": lambda repeat: repeat.get("period", 0) >= 0,
    "tim-6": lambda repeat: not has(repeat, "periodMax") or has(repeat, "period"),
    "tim-7": lambda repeat: not has(repeat, "durationMax") or has(repeat, "duration"),
    "tim-8": lambda repeat: not has(repeat, "countMax") or has(repeat, "count"),
    "tim-10": lambda repeat: not has(repeat, "timeOfDay") or not has(repeat, "when"),
    "Parameters.parameter/inv-1": inv_1,
    **bundle_invariants.HOLDS,
}
# fmt: on

_PLACES: dict[str, Violations] = {
    "dom-2": dom_2,
    "dom-3": dom_3,
    "dom-4": dom_4,
    "dom-5": dom_5,
    **bundle_invariants.PLACES,
}


NEEDS = {
    "app-4": "cancelationReason",
    "cmp-2": "emptyReason",
    "dom-2": "contained",
    "dom-3": "contained",
    "dom-4": "contained",
    "dom-5": "contained",
    "lst-1": "emptyReason",
    "obs-6": "dataAbsentReason",
    "obs-7": "component",
    "per-1": "end",
    "qrs-1": "answer",
}
"""The element without which an invariant holds: it is not asked then."""


def native(path: str, constraint: Constraint, url: str) -> Native | None:
    """The check of a constraint of the structure at ``path``; None where there is none in Python."""
    for name in (constraint.key, f"{path}/{constraint.key}"):
        if name in _PLACES:
            return Native(None, _PLACES[name], constraint, url)
        if name in _HOLDS:
            return Native(_HOLDS[name], None, constraint, url)
    return None
