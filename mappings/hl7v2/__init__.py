"""HL7v2 messages: read, acknowledge, map to FHIR."""

from mappings.hl7v2.acknowledgement import acknowledge, condition, mode, wants_accept, wants_application
from mappings.hl7v2.batch import Batch, split
from mappings.hl7v2.header import Header, header
from mappings.hl7v2.mapping import EVENTS, to_bundle
from mappings.hl7v2.reader import Message, read

__all__ = [
    "EVENTS",
    "Batch",
    "Header",
    "Message",
    "acknowledge",
    "condition",
    "header",
    "mode",
    "read",
    "split",
    "to_bundle",
    "wants_accept",
    "wants_application",
]
