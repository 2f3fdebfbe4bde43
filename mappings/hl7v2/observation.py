"""OBX[Observation], NTE[Annotation].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obx-to-observation.html
"""

import re
from collections.abc import Sequence
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    DATA_ABSENT,
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    ei_to_identifier,
    quantity,
    unit,
)
from mappings.hl7v2.groups import Result
from mappings.hl7v2.participation import participants
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import cwe_to_organization_reference, practitioners, xon_to_reference
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.specimen import eip
from mappings.hl7v2.tables import INTERPRETATION, OBSERVATION_STATUS, TERMINOLOGY
from mappings.hl7v2.vital_signs import PANEL, BloodPressures, conform, is_pressure, vital_sign_of

SUB_ID: Final = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid"
NATURE: Final = "http://hl7.org/fhir/StructureDefinition/observation-nature-of-abnormal-test"
PERFORMERS: Final = ("RO", "PO", "MDIR", "PP", "SPRF", "RI")
"""Table 0912: responsible observer, performing organization and its director, performers, interpreter."""

_RANGE: Final = re.compile(
    r"(?P<low>[+-]?[0-9]+(?:[.,][0-9]+)?)\s*(?:-|–|à|to)\s*(?P<high>[+-]?[0-9]+(?:[.,][0-9]+)?)"
    r"|(?P<bound><=|>=|<|>)\s*(?P<end>[+-]?[0-9]+(?:[.,][0-9]+)?)"
)
_TIME: Final = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])?")


def is_document(obx: Segment) -> bool:
    """Whether an OBX carries a document or points to one."""
    return str(obx[2]).upper() in {"ED", "RP"}


def comments(notes: Sequence[Segment]) -> str:
    """The text of NTE segments, one line each."""
    lines = []
    for nte in notes:
        nte.mark_read(1)
        lines += [field.text for field in nte.repetitions(3)]
    return "\n".join(lines).strip()


def annotation(notes: Sequence[Segment], context: Context) -> Element | None:
    """NTE segments as one Annotation; who entered it and when are those of the first that says it."""
    text = comments(notes)
    if not text:
        return None
    author = next((who for nte in notes for who in practitioners(nte, 5, context)), None)
    time = next((time for nte in notes if (time := dtm_to_date_time(nte[6], context))), None)
    result: Element = prune({"authorReference": author, "time": time, "text": text})
    return result


class ObservationEntries:
    """Adds the Observations of one order (or, outside orders, of one patient).

    What an Observation is the same by: the order, OBX-3 and OBX-4, never the set id OBX-1. Of several with
    the same the later ones count up; lines of text are one value.
    """

    def __init__(self, subject: Subject, context: Context, *key: str) -> None:
        self._subject = subject
        self._context = context
        self._key = key or (subject.key,)
        self._ranks: dict[tuple[str, str], int] = {}
        self._texts: dict[tuple[str, str], tuple[Element, list[str]]] = {}
        self._pressures = BloodPressures()

    def add(self, result: Result, inherited: Element) -> Element | None:
        """Add the entry of an OBX and give a reference to it; None for what is in an earlier one: a further
        line of a text, the other blood pressure.

        ``inherited`` holds what the order says of all its observations (effective time, category, ...).
        """
        obx = result.obx
        obx.mark_read(1)
        same = (f"{obx[3][1]}^{obx[3][3]}" if str(obx[3][1]) else obx[3].text, obx[4].text)
        kind = str(obx[2]).upper()
        if kind in {"TX", "FT"} and (begun := self._texts.get(same)) is not None:
            obx.mark_read(11)  # the first line's status holds for all
            text, lines = begun
            lines.append(_text(obx))
            if value := "\n".join(lines).strip("\n"):
                text["valueString"] = value
                text.pop("dataAbsentReason", None)
            return None
        observation = obx_to_observation(result, self._subject, self._context)
        category = [*inherited.get("category", ()), *observation.pop("category", ())]
        observation = {"resourceType": "Observation", "identifier": [], **inherited, **observation}
        observation |= {"category": category} if category else {}
        if code := vital_sign_of(observation):
            observation = conform(code, observation, obx, self._context)
        if is_pressure(code):
            if self._pressures.complete(code, observation):
                return None
            self._pressures.begin(code, observation)
            same = (f"{PANEL}^LN", observation.get("effectiveDateTime", ""))
        self._ranks[same] = rank = self._ranks.get(same, 0) + 1
        key = (*self._key, *same, *([str(rank)] if rank > 1 else []))
        identifier = self._context.derived("Observation", *key)
        observation["identifier"] = [identifier, *observation["identifier"]]
        if kind in {"TX", "FT"}:
            self._texts[same] = observation, [_text(obx)]
        url = self._context.url("Observation", identifier["system"], identifier["value"])
        self._context.entries.append(put(url, observation, identifier))
        return {"reference": url}


def obx_to_observation(result: Result, subject: Subject, context: Context) -> Element:
    obx = result.obx
    status = context.code("status", obx[11], OBSERVATION_STATUS, "0085", "unknown")
    values = _values(obx, context)
    instance = ei_to_identifier(obx[21], context, "FILL")
    absent = None if values else "not-asked" if str(obx[11]).upper() == "N" else "unknown"
    code = cwe_to_codeable_concept(obx[3], context)
    if code is None:
        context.warn("An observation without a code", obx[3], "required")
        code = {"text": "?"}
    observation: Element = prune(
        {
            "resourceType": "Observation",
            "extension": [
                _sub_id(obx[4]),
                *(_nature(cwe, context) for cwe in obx.all(10)),
            ],
            "identifier": [instance],
            **status,
            "category": [_kind(obx[29], context)],
            "code": code,
            "subject": subject.reference,
            "effectiveDateTime": dtm_to_date_time(obx[14], context),
            "performer": [
                *practitioners(obx, 16, context),
                *(who for _, who in participants(result.participations, PERFORMERS, context)),
                xon_to_reference(obx[23], context) or cwe_to_organization_reference(obx[15]),
                *practitioners(obx, 25, context),
            ],
            **(values[0] if len(values) == 1 else {}),
            "dataAbsentReason": _absent(absent),
            "interpretation": [_interpretation(cwe, context) for cwe in obx.all(8)],
            "note": [annotation(result.notes, context)],
            "bodySite": cwe_to_codeable_concept(obx[20], context, "0163"),
            "method": cwe_to_codeable_concept(obx[17], context),
            "device": _device(obx[18], context),
            "specimen": _specimen(obx[33], context),
            "referenceRange": [_range(obx, context)],
            "component": [{"code": code} | value for value in values] if len(values) > 1 else None,
        }
    )
    return {"identifier": [], **observation}


def _values(obx: Segment, context: Context) -> list[Element]:
    """``value[x]`` of each repetition of OBX-5, by the type OBX-2 gives."""
    kind = str(obx[2]).upper()
    if kind in {"TX", "FT", "ST", ""}:
        text = _text(obx)
        return [{"valueString": text}] if text else []
    return [value for field in obx.all(5) if (value := prune(_value(kind, field, obx, context)))]


def _text(obx: Segment) -> str:
    return "\n".join(field.text for field in obx.repetitions(5)).strip("\n")


def _value(kind: str, field: Field, obx: Segment, context: Context) -> Element:
    match kind:
        case "NM":
            if (number := quantity(field.text, obx[6], context)) is not None:
                return {"valueQuantity": number}
            context.warn("Not a number: kept as text", field)
            return {"valueString": _with_unit(field.text, obx[6])}
        case "SN":
            return _structured_numeric(field, obx[6], context)
        case "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID":
            return {"valueCodeableConcept": cwe_to_codeable_concept(field, context)}
        case "DT" | "DTM" | "TS":
            return {"valueDateTime": dtm_to_date_time(field[1], context)}
        case "CQ":
            return {"valueQuantity": quantity(str(field[1]), field[2] or obx[6], context)}
        case "NA" | "MA":
            return {"valueSampledData": _sampled(field, obx[6], context)}
        case "TM":
            clock = _TIME.match(str(field))
            if clock is None:
                return {"valueString": field.text}
            return {"valueTime": f"{clock[1]}:{clock[2]}:{clock[3] or '00'}"}
        case "DR":
            return {"valuePeriod": dr_to_period(field[1], field[2], context)}
        case "NR":
            low, high = (quantity(field[n].text, obx[6], context) for n in (1, 2))
            return {"valueRange": {"low": low, "high": high}}
        case _:
            return {"valueString": field.text}


def _structured_numeric(sn: Field, units: Field, context: Context) -> Element:
    """SN by its separator: a ratio (``:`` ``/``), a range (``-``) or one number; anything else is text."""
    comparator, first, separator, second = (str(sn[n]) for n in (1, 2, 3, 4))
    one, other = quantity(first, units, context), quantity(second, units, context)
    if comparator in {"", "="} and one and other and separator == "-":
        return {"valueRange": {"low": one, "high": other}}
    if comparator in {"", "="} and one and other and separator in {":", "/"}:
        return {"valueRatio": {"numerator": one, "denominator": other}}
    if comparator in {"", "=", "<", "<=", ">", ">="} and one and not second and separator in {"", "+"}:
        if separator:
            return {"valueString": _with_unit(f"{comparator}{first}{separator}", units)}
        return {
            "valueQuantity": one
            | ({"comparator": comparator} if comparator.strip("=") or len(comparator) > 1 else {})
        }
    return {"valueString": _with_unit(" ".join(filter(None, (comparator, first, separator, second))), units)}


def _sampled(numbers: Field, units: Field, context: Context) -> Element:
    """NA: its numbers are told apart by components. How far apart in time they are nobody says."""
    zero = {"value": 0, **unit(units, context)}
    return {
        "origin": prune(zero),
        "_period": {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]},
        "dimensions": 1,
        "data": " ".join(part.text or "E" for part in numbers.parts()),
    }


def _range(obx: Segment, context: Context) -> Element | None:
    """OBX-7 as it was sent and, where it is of a form that is one, as low and high."""
    text = obx[7].text
    if not text:
        return None
    match = _RANGE.fullmatch(text)
    low, high = match.group("low", "high") if match else ("", "")
    if match and (bound := match["bound"]):
        low, high = ("", match["end"]) if bound.startswith("<") else (match["end"], "")
    reference: Element = prune(
        {
            "low": quantity(low, obx[6], context) if low else None,
            "high": quantity(high, obx[6], context) if high else None,
            "text": text,
        }
    )
    return reference


def _with_unit(text: str, units: Field) -> str:
    return " ".join(filter(None, (text, units[2].text or str(units[1]))))


def _interpretation(cwe: Field, context: Context) -> Element | None:
    concept = cwe_to_codeable_concept(cwe, context, "0078")
    code = str(cwe[1])
    if concept and code in INTERPRETATION:
        coding = {"system": f"{V3}ObservationInterpretation", "code": code}
        concept["coding"] = [coding, *concept["coding"]]
    return concept


def _nature(cwe: Field, context: Context) -> Element | None:
    concept = cwe_to_codeable_concept(cwe, context, "0080")
    return {"url": NATURE, "valueCodeableConcept": concept} if concept else None


def _kind(kind: Field, context: Context) -> Element | None:
    """OBX-29 (table 0936): a result, an answer to a question, supporting clinical information."""
    code = str(kind).upper()
    return {"coding": [context.table_coding("0936", code)]} if code else None


def _specimen(pair: Field, context: Context) -> Element | None:
    identifier = eip(pair[2], context, "FILL") or eip(pair[1], context, "PLAC")
    return {"type": "Specimen", "identifier": identifier} if identifier else None


def _absent(code: str | None) -> Element | None:
    return {"coding": [{"system": f"{TERMINOLOGY}data-absent-reason", "code": code}]} if code else None


def _device(ei: Field, context: Context) -> Element | None:
    identifier = ei_to_identifier(ei, context)
    return {"type": "Device", "identifier": identifier} if identifier else None


def _sub_id(sub_id: Field) -> Element | None:
    if not sub_id:
        return None
    part = {"url": "original-sub-identifier", "valueString": sub_id.text}
    return {"url": SUB_ID, "extension": [part]}
