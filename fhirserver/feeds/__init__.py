"""How legacy data comes in: stored raw, acknowledged, mapped, resolved against the record, performed.

``receive`` is the way in for every channel: ``mllp`` here, HTTP in ``fhirserver.http.feeds``, ``files``.
"""
