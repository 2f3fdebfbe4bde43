"""Black-box checks of any FHIR R4 server: ``python -m conformance --base-url URL``.

A client with nothing but the standard library; it knows the server by what its CapabilityStatement claims.
What is claimed is checked, each check names the paragraph of https://hl7.org/fhir/R4/ it holds the server to.
"""
