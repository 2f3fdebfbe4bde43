"""The demonstration: a client that sends one fictional person's samples and reads the record back.

Nothing here knows how the server works; it uses the doors everybody uses.
"""

from fhirserver.demo.client import DemoFailed
from fhirserver.demo.run import run

__all__ = ["DemoFailed", "run"]
