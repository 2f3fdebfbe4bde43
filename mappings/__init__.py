"""HL7v2, CDA R2 and XDS/XDM to FHIR R4: a pure library, bytes in, transaction Bundle out."""
