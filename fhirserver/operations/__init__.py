"""The operations (``$name``), one module each, and where each can be called.

https://hl7.org/fhir/R4/operations.html. A row here is all that routing, ``Allow`` and ``/metadata`` need.
"""

from fhirserver.operations.docref import docref
from fhirserver.operations.document import document
from fhirserver.operations.everything import everything
from fhirserver.operations.match import match
from fhirserver.operations.meta import meta_add, meta_delete, meta_of_resource, meta_of_types
from fhirserver.operations.purge import purge
from fhirserver.operations.registry import Operation
from fhirserver.operations.validate import validate

US_CORE = "http://hl7.org/fhir/us/core/OperationDefinition/"
HL7 = "http://hl7.org/fhir/OperationDefinition/"

OPERATIONS: tuple[Operation, ...] = (
    Operation("validate", HL7 + "Resource-validate", {"type": validate, "instance": validate}),
    Operation(
        "meta",
        HL7 + "Resource-meta",
        {"system": meta_of_types, "type": meta_of_types, "instance": meta_of_resource},
    ),
    Operation("meta-add", HL7 + "Resource-meta-add", {"instance": meta_add}, changes=True),
    Operation("meta-delete", HL7 + "Resource-meta-delete", {"instance": meta_delete}, changes=True),
    Operation(
        "everything",
        HL7 + "Patient-everything",
        {"type": everything, "instance": everything},
        ("Patient",),
    ),
    Operation("match", HL7 + "Patient-match", {"type": match}, ("Patient",)),
    Operation("purge", "", {"instance": purge}, ("Patient",), changes=True),
    Operation("docref", US_CORE + "docref", {"type": docref}, ("DocumentReference",)),
    Operation(
        "document", HL7 + "Composition-document", {"type": document, "instance": document}, ("Composition",)
    ),
)
