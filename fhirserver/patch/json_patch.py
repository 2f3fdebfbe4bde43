"""JSON Patch: https://www.rfc-editor.org/rfc/rfc6902"""

from copy import deepcopy
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from fhirserver.errors import TooLarge
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.patch.failure import MalformedPatch, PatchFailed, check_count, place

MAX_SIZE = 32 * 1024 * 1024
"""``copy`` can double a document with each operation: bytes of JSON at which to stop."""


def apply_json_patch(resource: Resource, patch: Any) -> Resource:
    """The resource with the operations applied, in order, to a copy of it.

    Arrays and objects that the operations leave empty are removed: FHIR has no empty ones, and to remove the
    last name of a Patient is to remove ``name``.

    Raises:
        MalformedPatch: the patch is not an array of operations as RFC 6902 has them.
        PatchFailed: an operation finds nothing at its path, or its test does not hold.
        TooLarge: the operations copy the resource into itself without end.
    """
    if not isinstance(patch, list):
        raise MalformedPatch("A JSON Patch is an array of operations")
    check_count(len(patch))
    document: Any = deepcopy(resource)
    for position, operation in enumerate(patch):
        name = place(position, _name(operation))
        if isinstance(operation, dict) and _has_empty(operation.get("value")):
            raise MalformedPatch(f"{name}: the value has an empty array or object, which FHIR does not know")
        try:
            document = JsonPatch([operation]).apply(document, in_place=True)
        except JsonPatchTestFailed:
            raise PatchFailed(f"{name}: the test does not hold") from None
        except InvalidJsonPatch as error:
            raise MalformedPatch(f"{name}: {error}") from None
        except (JsonPatchException, JsonPointerException) as error:
            if _is_malformed(operation):
                raise MalformedPatch(f"{name}: a path is not a JSON Pointer") from None
            raise PatchFailed(f"{name}: {_reason(error)}") from None
        except RecursionError:
            raise MalformedPatch(f"{name}: the value is nested too deeply") from None
        if operation["op"] == "copy" and len(json.format(document)) > MAX_SIZE:
            raise TooLarge(f"{name}: the resource has grown beyond {MAX_SIZE} bytes")
    if not isinstance(document, dict):
        raise PatchFailed("The patch leaves no resource")
    return _without_empty(document) or {}


def _name(operation: Any) -> str:
    """``replace /name/0/family``, as far as it is known."""
    if not isinstance(operation, dict):
        return ""
    return f"{str(operation.get('op', ''))[:20]} {str(operation.get('path', ''))[:100]}".strip()


def _is_malformed(operation: dict[str, Any]) -> bool:
    pointers = [operation[key] for key in ("path", "from") if key in operation]
    return any(not isinstance(p, str) or (p and p[0] != "/") or _bad_escape(p) for p in pointers)


def _bad_escape(pointer: str) -> bool:
    return any(part[:1] not in ("0", "1") for part in pointer.split("~")[1:])


def _reason(error: Exception) -> str:
    """The library's text names members and indexes; what quotes a value of the document is left out."""
    text = str(error)
    return text.partition(" not found in ")[0] + " is not there" if " not found in " in text else text


def _has_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(_has_empty(part) for part in value.values())
    if isinstance(value, list):
        return not value or any(_has_empty(part) for part in value)
    return False


def _without_empty(value: Any, twin: bool = False) -> Any:
    """The value without empty arrays and objects; None when nothing is left.

    In the array beside an array of primitives (``_given``) an empty item becomes null, to keep the places.
    """
    if isinstance(value, dict):
        parts = ((name, _without_empty(part, name.startswith("_"))) for name, part in value.items())
        return {name: part for name, part in parts if part is not None} or None
    if isinstance(value, list):
        items = [(item, _without_empty(item)) for item in value]
        kept = [after for item, after in items if twin or item is None or after is not None]
        return kept if any(item is not None for item in kept) else None
    return value
