"""The values that ``_sort`` compares: per parameter the lowest and the highest, as sortable text."""

from fhirserver.search.query import Index

LENGTH = 64
"""Longer values are sorted by their first so many characters."""


def note(index: Index, code: str, value: str) -> None:
    """Take a value into account for sorting by the parameter."""
    note_both(index, code, value[:LENGTH], value[:LENGTH])


def note_both(index: Index, code: str, low: str, high: str) -> None:
    """Take the bounds of a value into account for sorting by the parameter."""
    known = index.sort.get(code)
    index.sort[code] = (low, high) if known is None else (min(known[0], low), max(known[1], high))
