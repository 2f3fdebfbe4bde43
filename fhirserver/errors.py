"""The errors of the server: each knows its HTTP status and its issue code.

    FHIRError                       500 exception
    ├── BadRequest                  400 invalid
    │   ├── MalformedBody           400 structure
    │   └── UnknownParameter        400 not-supported
    ├── Forbidden                   403 forbidden
    ├── NotFound                    404 not-found
    │   └── TypeNotServed           404 not-supported
    ├── MethodNotAllowed            405 not-supported
    ├── NotAcceptable               406 not-supported
    ├── VersionConflict             409 conflict
    ├── Gone                        410 deleted
    ├── PreconditionFailed          412 conflict
    │   └── MultipleMatches         412 multiple-matches
    ├── TooLarge                    413 too-long
    ├── UnsupportedMediaType        415 not-supported
    ├── RangeNotSatisfiable         416 value
    ├── Unprocessable               422 processing
    │   └── TooCostly               422 too-costly
    ├── NotSupported                501 not-supported
    └── Unavailable                 503 transient

https://hl7.org/fhir/R4/http.html#operations (status codes), https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say about a resource or a request; becomes OperationOutcome.issue.

    ``code`` is from the IssueType value set, ``expression`` a FHIRPath such as ``Patient.name[0].given[1]``.
    ``rule`` and ``url`` name the rule that is broken and where it is written; ``line`` and ``column`` are the
    place in the request's body, from 1 (0: not known).
    """

    severity: Severity
    code: str
    text: str
    expression: str = ""
    rule: str = ""
    url: str = ""
    line: int = 0
    column: int = 0


class FHIRError(Exception):
    """Raised where the fact is known; one handler in ``server`` turns it into a response."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        text: str,
        *,
        expression: str = "",
        issues: Sequence[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.issues = tuple(issues) or (Issue("error", self.code, text, expression),)
        self.headers = dict(headers or {})


class BadRequest(FHIRError):
    status, code = 400, "invalid"


class MalformedBody(BadRequest):
    code = "structure"


class UnknownParameter(BadRequest):
    code = "not-supported"


class Forbidden(FHIRError):
    status, code = 403, "forbidden"


class NotFound(FHIRError):
    status, code = 404, "not-found"


class TypeNotServed(NotFound):
    code = "not-supported"


class MethodNotAllowed(FHIRError):
    status, code = 405, "not-supported"


class NotAcceptable(FHIRError):
    status, code = 406, "not-supported"


class VersionConflict(FHIRError):
    status, code = 409, "conflict"


class Gone(FHIRError):
    status, code = 410, "deleted"


class PreconditionFailed(FHIRError):
    status, code = 412, "conflict"


class MultipleMatches(PreconditionFailed):
    code = "multiple-matches"


class TooLarge(FHIRError):
    status, code = 413, "too-long"


class UnsupportedMediaType(FHIRError):
    status, code = 415, "not-supported"


class RangeNotSatisfiable(FHIRError):
    status, code = 416, "value"


class Unprocessable(FHIRError):
    status, code = 422, "processing"


class TooCostly(Unprocessable):
    code = "too-costly"


class NotSupported(FHIRError):
    status, code = 501, "not-supported"


class Unavailable(FHIRError):
    status, code = 503, "transient"
