"""Work on very many resources, in jobs: export, import, reindex. https://hl7.org/fhir/R4/async.html"""
