"""Why a patch is not applied, always with the position of the operation."""

from fhirserver.errors import BadRequest, Unprocessable

MAX_OPERATIONS = 1000


class PatchFailed(Unprocessable):
    """The patch is well formed and cannot be applied to this resource: a place that is not there, a test that
    does not hold. RFC 5789, section 2.2, gives 422 to that, and 412 only to conditions in headers."""


class MalformedPatch(BadRequest):
    """The patch is not what its format's specification says."""

    code = "structure"


def place(position: int, what: str = "") -> str:
    """How an operation is named in texts; positions begin at 0, as in JSON Pointers and FHIRPath."""
    return f"Operation {position} ({what})" if what else f"Operation {position}"


def check_count(count: int) -> None:
    """Raises MalformedPatch for more operations than anybody means."""
    if count > MAX_OPERATIONS:
        raise MalformedPatch(f"The patch has {count} operations; at most {MAX_OPERATIONS} are applied")
