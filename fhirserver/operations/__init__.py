"""The operations (``$name``), one module each, and where each can be called.

https://hl7.org/fhir/R4/operations.html. A row here is all that routing, ``Allow`` and ``/metadata`` need.
"""

from fhirserver.operations.bulk_export import bulk_export
from fhirserver.operations.bulk_import import bulk_import
from fhirserver.operations.content import content
from fhirserver.operations.docref import docref
from fhirserver.operations.document import document
from fhirserver.operations.everything import everything
from fhirserver.operations.expand import expand
from fhirserver.operations.generate_metadata import generate_metadata
from fhirserver.operations.lookup import lookup
from fhirserver.operations.match import match
from fhirserver.operations.merge import merge
from fhirserver.operations.meta import meta_add, meta_delete, meta_of_resource, meta_of_types
from fhirserver.operations.purge import purge
from fhirserver.operations.registry import Operation
from fhirserver.operations.reindex import reindex
from fhirserver.operations.search_parameter_status import search_parameter_status
from fhirserver.operations.subscription_events import subscription_events
from fhirserver.operations.subscription_status import subscription_status
from fhirserver.operations.subsumes import subsumes
from fhirserver.operations.translate import translate
from fhirserver.operations.validate import validate
from fhirserver.operations.validate_code import validate_code, validate_code_in_system
from fhirserver.operations.versions import versions
from fhirserver.operations.withdraw import withdraw
from fhirserver.operations.xdm import xdm

US_CORE = "http://hl7.org/fhir/us/core/OperationDefinition/"
HL7 = "http://hl7.org/fhir/OperationDefinition/"
BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
MHD = "https://profiles.ihe.net/ITI/MHD/OperationDefinition/"
OWN = "urn:fhirserver:operation:"
"""No guide publishes a definition of these; `docs/api` tells of them."""
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"

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
    Operation("merge", HL7 + "Patient-merge", {"type": merge}, ("Patient",), changes=True),
    Operation("purge", HL7 + "Patient-purge", {"instance": purge}, ("Patient",), changes=True, admin=True),
    Operation("docref", US_CORE + "docref", {"type": docref}, ("DocumentReference",)),
    Operation("content", OWN + "content", {"instance": content}, ("DocumentReference",)),
    Operation(
        "generate-metadata",
        MHD + "generate-metadata",
        {"type": generate_metadata},
        ("DocumentReference",),
        changes=True,
    ),
    Operation("versions", OWN + "versions", {"type": versions, "instance": versions}, ("DocumentReference",)),
    Operation("xdm", OWN + "xdm", {"type": xdm, "instance": xdm}, ("DocumentReference",)),
    Operation("withdraw", OWN + "withdraw", {"instance": withdraw}, ("DocumentReference",), changes=True),
    Operation(
        "document", HL7 + "Composition-document", {"type": document, "instance": document}, ("Composition",)
    ),
    Operation("export", BULK + "export", {"system": bulk_export}),
    Operation("export", BULK + "patient-export", {"type": bulk_export}, ("Patient",)),
    Operation("export", BULK + "group-export", {"instance": bulk_export}, ("Group",)),
    Operation("import", OWN + "import", {"system": bulk_import}, changes=True),
    Operation("reindex", OWN + "reindex", {"system": reindex, "type": reindex}, changes=True),
    Operation(
        "status",
        BACKPORT + "status",
        {"type": subscription_status, "instance": subscription_status},
        ("Subscription",),
    ),
    Operation(
        "status",
        OWN + "search-parameter-status",
        {"type": search_parameter_status, "instance": search_parameter_status},
        ("SearchParameter",),
    ),
    Operation("events", BACKPORT + "events", {"instance": subscription_events}, ("Subscription",)),
    Operation("expand", HL7 + "ValueSet-expand", {"type": expand, "instance": expand}, ("ValueSet",)),
    Operation(
        "validate-code",
        HL7 + "ValueSet-validate-code",
        {"type": validate_code, "instance": validate_code},
        ("ValueSet",),
    ),
    Operation(
        "validate-code",
        HL7 + "CodeSystem-validate-code",
        {"type": validate_code_in_system, "instance": validate_code_in_system},
        ("CodeSystem",),
    ),
    Operation("lookup", HL7 + "CodeSystem-lookup", {"type": lookup}, ("CodeSystem",)),
    Operation(
        "subsumes", HL7 + "CodeSystem-subsumes", {"type": subsumes, "instance": subsumes}, ("CodeSystem",)
    ),
    Operation(
        "translate",
        HL7 + "ConceptMap-translate",
        {"type": translate, "instance": translate},
        ("ConceptMap",),
    ),
)
