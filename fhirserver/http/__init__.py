"""FHIR over HTTP: the only place that knows starlette and uvicorn."""
