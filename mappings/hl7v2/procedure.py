"""PR1[Procedure]: what was done during a visit.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pr1-to-procedure.html
"""

from datetime import datetime, timedelta
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    coded_by,
    cwe_to_codeable_concept,
    dtm_to_date_time,
    ei_to_identifier,
)
from mappings.hl7v2.patient import Subject, positive_int
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Segment

PERFORMERS: Final = {8: "Anesthesiologist", 11: "Surgeon", 12: "Procedure practitioner"}
"""PR1 field -> what its people did."""


def add_procedures(
    segments: list[Segment], subject: Subject, encounter: Element | None, context: Context
) -> None:
    """Add an entry per PR1, known by PR1-19, else by the patient, the code and the time.

    PR1-20 D says that it was an error.
    """
    for pr1 in segments:
        pr1.mark_read(1)
        procedure = pr1_to_procedure(pr1, subject, encounter, context)
        if "code" not in procedure:
            text = "A procedure without a code or text: left out"
            context.issue("warning", "required", text, pr1[3].location)
            continue
        identifier = procedure["identifier"][0]
        url = context.url("Procedure", identifier["system"], identifier["value"])
        context.entries.append(put(url, procedure, identifier))


def pr1_to_procedure(pr1: Segment, subject: Subject, encounter: Element | None, context: Context) -> Element:
    code = coded_by(pr1[2], cwe_to_codeable_concept(pr1[3], context), context) or {}
    if pr1[4] and "text" not in code:
        code["text"] = pr1[4].text
    own = ei_to_identifier(pr1[19], context)
    what = f"{pr1[3][1]}^{pr1[3][3]}" if str(pr1[3][1]) else pr1[4].text.casefold()
    # Some senders number the procedures of each patient: only with the patient it says which one it is.
    key = ("PR1-19", own["system"], own["value"]) if own else (what, str(pr1[5]))
    people = [
        {"function": {"text": function}, "actor": who}
        for number, function in PERFORMERS.items()
        for who in practitioners(pr1, number, context)
    ]
    procedure: Element = prune(
        {
            "resourceType": "Procedure",
            "identifier": [context.derived("Procedure", subject.key, *key), own],
            "status": "entered-in-error" if str(pr1[20]).upper() == "D" else "completed",
            "category": cwe_to_codeable_concept(pr1[6], context, "0230"),
            "code": code,
            "subject": subject.reference,
            "encounter": encounter,
            **_performed(pr1, context),
            "performer": people,
            "reasonCode": [cwe_to_codeable_concept(pr1[15], context)],
        }
    )
    return procedure


def _performed(pr1: Segment, context: Context) -> Element:
    """PR1-5, and until when where PR1-7 says how many minutes it took."""
    start = dtm_to_date_time(pr1[5], context)
    minutes = positive_int(str(pr1[7]))
    if start is None or "T" not in start or minutes is None:
        return {"performedDateTime": start}
    end = datetime.fromisoformat(start) + timedelta(minutes=minutes)
    return {"performedPeriod": {"start": start, "end": end.isoformat()}}
