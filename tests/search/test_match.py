import pytest

from fhirserver.search.match import satisfies
from fhirserver.search.query import (
    And,
    Condition,
    Everything,
    Ids,
    Index,
    Interval,
    KeyRange,
    Keys,
    Not,
    Nothing,
    Or,
    Range,
    Updated,
)

INDEX = Index(
    keys=["gender|male", "identifier|urn:x|1"],
    sorted=["family|durand", "given|eva"],
    intervals=[("date", "2013", "2014"), ("date", "2020", "2021")],
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Everything(), True),
        (Nothing(), False),
        (Ids(("1", "2")), True),
        (Ids(("2",)), False),
        (Keys(("gender|female", "gender|male")), True),
        (Keys(("gender|mal",)), False),
        (KeyRange("identifier|urn:x|", "identifier|urn:x}"), True),
        (KeyRange("gender|male", "gender|male"), False),
        (KeyRange("gender|a", "gender|male"), False),
        (Range("family|d", "family|e"), True),
        (Range("family|durand", "family|durand\x01"), True),
        (Range("family|a", "family|durand"), False),
        (Range("family|", "family}", "uran"), True),
        (Range("family|", "family}", "^family.*eva"), False),
        (Interval("date"), True),
        (Interval("birthdate"), False),
        (Interval("date", (("$gte", "2013"),), (("$lte", "2014"),)), True),
        # Both bounds are of the same interval.
        (Interval("date", (("$gt", "2013"),), (("$lt", "2021"),)), False),
        (Interval("date", (("$gt", "2013"), ("$lt", "2021")), ()), True),
        (Interval("date", (("$eq", "2020"),), (("$ne", "2021"),)), False),
        (Updated(5, 6), True),
        (Updated(None, 5), False),
        (Updated(6, None), False),
        (Updated(), True),
        (And((Everything(), Nothing())), False),
        (And(()), True),
        (Or((Everything(), Nothing())), True),
        (Or(()), False),
        (Not(Nothing()), True),
    ],
)
def test_satisfies(condition: Condition, expected: bool) -> None:
    assert satisfies(INDEX, "1", 5, condition) is expected
