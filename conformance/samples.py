"""The smallest valid resource of every R4 type, all of it invented.

References are by display only, so that a server that checks whether their targets exist takes them.
https://hl7.org/fhir/R4/resourcelist.html
"""

from typing import Any

from conformance.client import Resource

REFERENCE = {"display": "conformance"}
CONCEPT = {"text": "conformance"}
CODING = {"system": "urn:conformance", "code": "conformance"}
IDENTIFIER = {"system": "urn:conformance", "value": "conformance"}
ACTIVE = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
    ]
}

NOT_DOMAIN_RESOURCES = ("Binary", "Bundle", "Parameters")


def sample(type: str, mark: str, **elements: Any) -> Resource:
    """A valid resource that carries the mark as a tag.

    Raises:
        KeyError: no resource type of R4.
    """
    return {
        "resourceType": type,
        "meta": {"tag": [{"system": "urn:conformance", "code": mark}]},
        **REQUIRED[type],
        **elements,
    }


# fmt: off
REQUIRED: dict[str, dict[str, Any]] = {
    "Account": {"status": "active"},
    "ActivityDefinition": {"status": "active"},
    "AdverseEvent": {"actuality": "actual", "subject": REFERENCE},
    "AllergyIntolerance": {"patient": REFERENCE, "clinicalStatus": ACTIVE},
    "Appointment": {"status": "proposed", "participant": [{"actor": REFERENCE, "status": "needs-action"}]},
    "AppointmentResponse": {
        "appointment": REFERENCE, "participantStatus": "accepted", "actor": REFERENCE,
    },
    "AuditEvent": {
        "type": CODING, "recorded": "2020-01-01T00:00:00Z", "agent": [{"requestor": True}],
        "source": {"observer": REFERENCE},
    },
    "Basic": {"code": CONCEPT},
    "Binary": {"contentType": "text/plain"},
    "BiologicallyDerivedProduct": {},
    "BodyStructure": {"patient": REFERENCE},
    "Bundle": {"type": "collection"},
    "CapabilityStatement": {
        "status": "active", "date": "2020-01-01", "kind": "requirements", "fhirVersion": "4.0.1",
        "format": ["text/plain"], "description": "x", "rest": [{"mode": "server"}],
    },
    "CarePlan": {"status": "active", "intent": "order", "subject": REFERENCE},
    "CareTeam": {},
    "CatalogEntry": {"orderable": True, "referencedItem": REFERENCE},
    "ChargeItem": {"status": "unknown", "code": CONCEPT, "subject": REFERENCE},
    "ChargeItemDefinition": {"url": "urn:conformance", "status": "active"},
    "Claim": {
        "status": "active", "type": CONCEPT, "use": "claim", "patient": REFERENCE, "created": "2020-01-01",
        "provider": REFERENCE, "priority": CONCEPT,
        "insurance": [{"sequence": 1, "focal": True, "coverage": REFERENCE}],
    },
    "ClaimResponse": {
        "status": "active", "type": CONCEPT, "use": "claim", "patient": REFERENCE, "created": "2020-01-01",
        "insurer": REFERENCE, "outcome": "queued",
    },
    "ClinicalImpression": {"status": "completed", "subject": REFERENCE},
    "CodeSystem": {"status": "active", "content": "not-present"},
    "Communication": {"status": "completed"},
    "CommunicationRequest": {"status": "active"},
    "CompartmentDefinition": {
        "url": "urn:conformance", "name": "conformance", "status": "active", "code": "Patient",
        "search": True,
    },
    "Composition": {
        "status": "final", "type": CONCEPT, "date": "2020-01-01", "author": [REFERENCE],
        "title": "conformance",
    },
    "ConceptMap": {"status": "active"},
    "Condition": {"subject": REFERENCE},
    "Consent": {"status": "draft", "scope": CONCEPT, "category": [CONCEPT], "policyRule": CONCEPT},
    "Contract": {},
    "Coverage": {"status": "active", "beneficiary": REFERENCE, "payor": [REFERENCE]},
    "CoverageEligibilityRequest": {
        "status": "active", "purpose": ["auth-requirements"], "patient": REFERENCE,
        "created": "2020-01-01", "insurer": REFERENCE,
    },
    "CoverageEligibilityResponse": {
        "status": "active", "purpose": ["auth-requirements"], "patient": REFERENCE,
        "created": "2020-01-01", "request": REFERENCE, "outcome": "queued", "insurer": REFERENCE,
    },
    "DetectedIssue": {"status": "final"},
    "Device": {},
    "DeviceDefinition": {},
    "DeviceMetric": {"type": CONCEPT, "category": "measurement"},
    "DeviceRequest": {"intent": "order", "codeCodeableConcept": CONCEPT, "subject": REFERENCE},
    "DeviceUseStatement": {"status": "active", "subject": REFERENCE, "device": REFERENCE},
    "DiagnosticReport": {"status": "final", "code": CONCEPT},
    "DocumentManifest": {"status": "current", "content": [REFERENCE]},
    "DocumentReference": {"status": "current", "content": [{"attachment": {"title": "conformance"}}]},
    "EffectEvidenceSynthesis": {
        "status": "active", "population": REFERENCE, "exposure": REFERENCE,
        "exposureAlternative": REFERENCE, "outcome": REFERENCE,
    },
    "Encounter": {"status": "unknown", "class": CODING},
    "Endpoint": {
        "status": "active", "connectionType": CODING, "payloadType": [CONCEPT],
        "address": "http://conformance.test",
    },
    "EnrollmentRequest": {},
    "EnrollmentResponse": {},
    "EpisodeOfCare": {"status": "active", "patient": REFERENCE},
    "EventDefinition": {"status": "active", "trigger": [{"type": "named-event", "name": "x"}]},
    "Evidence": {"status": "active", "exposureBackground": REFERENCE, "name": "Conformance"},
    "EvidenceVariable": {"status": "active", "characteristic": [{"definitionCodeableConcept": CONCEPT}]},
    "ExampleScenario": {"status": "active"},
    "ExplanationOfBenefit": {
        "status": "active", "type": CONCEPT, "use": "claim", "patient": REFERENCE, "created": "2020-01-01",
        "insurer": REFERENCE, "provider": REFERENCE, "outcome": "queued",
        "insurance": [{"focal": True, "coverage": REFERENCE}],
    },
    "FamilyMemberHistory": {"status": "completed", "patient": REFERENCE, "relationship": CONCEPT},
    "Flag": {"status": "active", "code": CONCEPT, "subject": REFERENCE},
    "Goal": {"lifecycleStatus": "active", "description": CONCEPT, "subject": REFERENCE},
    "GraphDefinition": {"name": "conformance", "status": "active", "start": "Account"},
    "Group": {"type": "person", "actual": True},
    "GuidanceResponse": {"moduleCodeableConcept": CONCEPT, "status": "success"},
    "HealthcareService": {},
    "ImagingStudy": {"status": "unknown", "subject": REFERENCE},
    "Immunization": {
        "status": "completed", "vaccineCode": CONCEPT, "patient": REFERENCE,
        "occurrenceDateTime": "2020-01-01",
    },
    "ImmunizationEvaluation": {
        "status": "completed", "patient": REFERENCE, "targetDisease": CONCEPT,
        "immunizationEvent": REFERENCE, "doseStatus": CONCEPT,
    },
    "ImmunizationRecommendation": {
        "patient": REFERENCE, "date": "2020-01-01",
        "recommendation": [{"forecastStatus": CONCEPT, "targetDisease": CONCEPT}],
    },
    "ImplementationGuide": {
        "url": "urn:conformance", "name": "conformance", "status": "active", "packageId": "conformance",
        "fhirVersion": ["4.0.1"],
    },
    "InsurancePlan": {"name": "x"},
    "Invoice": {"status": "draft"},
    "Library": {"status": "active", "type": CONCEPT},
    "Linkage": {"item": [{"type": "source", "resource": REFERENCE}] * 2},
    "List": {"status": "current", "mode": "working"},
    "Location": {},
    "Measure": {"status": "active"},
    "MeasureReport": {
        "status": "complete", "type": "individual", "measure": "http://conformance.test/canonical",
        "period": {"start": "2020-01-01"},
    },
    "Media": {"status": "completed", "content": {"title": "conformance"}},
    "Medication": {},
    "MedicationAdministration": {
        "status": "completed", "medicationCodeableConcept": CONCEPT, "subject": REFERENCE,
        "effectiveDateTime": "2020-01-01",
    },
    "MedicationDispense": {"status": "completed", "medicationCodeableConcept": CONCEPT},
    "MedicationKnowledge": {},
    "MedicationRequest": {
        "status": "active", "intent": "order", "medicationCodeableConcept": CONCEPT, "subject": REFERENCE,
    },
    "MedicationStatement": {"status": "active", "medicationCodeableConcept": CONCEPT, "subject": REFERENCE},
    "MedicinalProduct": {"name": [{"productName": "conformance"}]},
    "MedicinalProductAuthorization": {},
    "MedicinalProductContraindication": {},
    "MedicinalProductIndication": {},
    "MedicinalProductIngredient": {"role": CONCEPT},
    "MedicinalProductInteraction": {},
    "MedicinalProductManufactured": {"manufacturedDoseForm": CONCEPT, "quantity": {"value": 1}},
    "MedicinalProductPackaged": {"packageItem": [{"type": CONCEPT, "quantity": {"value": 1}}]},
    "MedicinalProductPharmaceutical": {
        "administrableDoseForm": CONCEPT, "routeOfAdministration": [{"code": CONCEPT}],
    },
    "MedicinalProductUndesirableEffect": {},
    "MessageDefinition": {"status": "active", "date": "2020-01-01", "eventCoding": CODING},
    "MessageHeader": {"eventCoding": CODING, "source": {"endpoint": "http://conformance.test"}},
    "MolecularSequence": {"coordinateSystem": 1},
    "NamingSystem": {
        "name": "conformance", "status": "active", "kind": "codesystem", "date": "2020-01-01",
        "uniqueId": [{"type": "oid", "value": "conformance"}],
    },
    "NutritionOrder": {"status": "active", "intent": "order", "patient": REFERENCE, "dateTime": "2020-01-01"},
    "Observation": {"status": "final", "code": CONCEPT},
    "ObservationDefinition": {"code": CONCEPT},
    "OperationDefinition": {
        "name": "conformance", "status": "active", "kind": "operation", "code": "conformance",
        "system": True, "type": True, "instance": True,
    },
    "OperationOutcome": {"issue": [{"severity": "information", "code": "informational"}]},
    "Organization": {"name": "conformance"},
    "OrganizationAffiliation": {},
    "Patient": {},
    "PaymentNotice": {
        "status": "active", "created": "2020-01-01", "payment": REFERENCE, "recipient": REFERENCE,
        "amount": {"value": 1, "currency": "EUR"},
    },
    "PaymentReconciliation": {
        "status": "active", "created": "2020-01-01", "paymentDate": "2020-01-01",
        "paymentAmount": {"value": 1, "currency": "EUR"},
    },
    "Person": {},
    "PlanDefinition": {"status": "active"},
    "Practitioner": {},
    "PractitionerRole": {},
    "Procedure": {"status": "completed", "subject": REFERENCE},
    "Provenance": {"target": [REFERENCE], "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": REFERENCE}]},
    "Questionnaire": {"status": "active"},
    "QuestionnaireResponse": {"status": "completed"},
    "RelatedPerson": {"patient": REFERENCE},
    "RequestGroup": {"status": "active", "intent": "order"},
    "ResearchDefinition": {"status": "active", "population": REFERENCE},
    "ResearchElementDefinition": {
        "status": "active", "type": "population",
        "characteristic": [{"definitionCodeableConcept": CONCEPT}],
    },
    "ResearchStudy": {"status": "active"},
    "ResearchSubject": {"status": "candidate", "study": REFERENCE, "individual": REFERENCE},
    "RiskAssessment": {"status": "final", "subject": REFERENCE},
    "RiskEvidenceSynthesis": {"status": "active", "population": REFERENCE, "outcome": REFERENCE},
    "Schedule": {"actor": [REFERENCE]},
    "SearchParameter": {
        # A draft: an active one would be used, and a server may refuse what it cannot use.
        "url": "urn:conformance", "name": "conformance", "status": "draft", "description": "conformance",
        "code": "conformance", "base": ["Account"], "type": "number",
    },
    "ServiceRequest": {"status": "active", "intent": "order", "subject": REFERENCE},
    "Slot": {
        "schedule": REFERENCE, "status": "busy", "start": "2020-01-01T00:00:00Z",
        "end": "2020-01-01T00:00:00Z",
    },
    "Specimen": {},
    "SpecimenDefinition": {},
    "StructureDefinition": {
        "url": "urn:conformance", "name": "conformance", "status": "active", "kind": "logical",
        "abstract": True, "type": "urn:conformance",
        "differential": {"element": [{"id": "x", "path": "x"}]},
    },
    "StructureMap": {
        "url": "urn:conformance", "name": "conformance", "status": "active",
        "group": [{
            "name": "conformance", "typeMode": "none", "input": [{"name": "conformance", "mode": "source"}],
            "rule": [{"name": "conformance", "source": [{"context": "conformance"}]}],
        }],
    },
    "Subscription": {
        "status": "off", "reason": "conformance", "criteria": "Observation?code=conformance",
        "channel": {"type": "rest-hook", "endpoint": "http://conformance.test"},
    },
    "Substance": {"code": CONCEPT},
    "SubstanceNucleicAcid": {},
    "SubstancePolymer": {},
    "SubstanceProtein": {},
    "SubstanceReferenceInformation": {},
    "SubstanceSourceMaterial": {},
    "SubstanceSpecification": {},
    "SupplyDelivery": {},
    "SupplyRequest": {"itemCodeableConcept": CONCEPT, "quantity": {"value": 1}},
    "Task": {"status": "completed", "intent": "unknown"},
    "TerminologyCapabilities": {
        "status": "active", "date": "2020-01-01", "kind": "requirements", "description": "x",
    },
    "TestReport": {"status": "completed", "testScript": REFERENCE, "result": "pass"},
    "TestScript": {"url": "urn:conformance", "name": "conformance", "status": "active"},
    "ValueSet": {"status": "active"},
    "VerificationResult": {"status": "attested"},
    "VisionPrescription": {
        "status": "active", "created": "2020-01-01", "patient": REFERENCE, "dateWritten": "2020-01-01",
        "prescriber": REFERENCE, "lensSpecification": [{"product": CONCEPT, "eye": "right"}],
    },
}
# fmt: on
