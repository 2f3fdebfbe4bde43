"""How the values of a stored query are coded."""

import pytest
from lxml import etree

from mappings.xds.query import NotAQuery, Query, read_query

GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
REQUIRED = {"$XDSDocumentEntryPatientId": ["'1^^^&1.2.3&ISO'"], "$XDSDocumentEntryStatus": ["('urn:x')"]}


def read(id: str, parameters: dict[str, list[str]]) -> Query:
    root = etree.Element("AdhocQueryRequest")
    etree.SubElement(root, "ResponseOption", returnType="LeafClass")
    query = etree.SubElement(root, "AdhocQuery", id=id)
    for name, values in parameters.items():
        listed = etree.SubElement(etree.SubElement(query, "Slot", name=name), "ValueList")
        for value in values:
            etree.SubElement(listed, "Value").text = value
    return read_query(root)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["'1.2.3'"], ["1.2.3"]),
        (["('1.2.3')"], ["1.2.3"]),
        (["('1.2.3','4.5.6')"], ["1.2.3", "4.5.6"]),
        (["('1.2.3' , '4.5.6' )"], ["1.2.3", "4.5.6"]),
        (["('1.2.3')", "('4.5.6')", "'7.8.9'"], ["1.2.3", "4.5.6", "7.8.9"]),
        ([" ( 'it''s, (one)' ) "], ["it's, (one)"]),
        (["''''"], ["'"]),
        (["''"], [""]),
    ],
)
def test_strings(values: list[str], expected: list[str]) -> None:
    assert (
        list(read(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": values}).all("$XDSDocumentEntryUniqueId"))
        == expected
    )


@pytest.mark.parametrize(
    "value",
    [
        "'",
        "'a",
        "a",
        "('a'",
        "'a')",
        "('a',)",
        "(,'a')",
        "()",
        "'a''",
        "'a' 'b'",
        "('a';'b')",
        "7",
        "('a',b)",
    ],
)
def test_what_is_no_string(value: str) -> None:
    with pytest.raises(NotAQuery) as refused:
        read(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": [value]})
    assert (refused.value.code, refused.value.location) == ("XDSRegistryError", "$XDSDocumentEntryUniqueId")


@pytest.mark.parametrize(
    "value", ["2024", "202401", "20240131", "2024013112", "20240131120000+0100", "'2024'"]
)
def test_times(value: str) -> None:
    query = read(FIND_DOCUMENTS, {**REQUIRED, "$XDSDocumentEntryCreationTimeFrom": [value]})
    assert query.one("$XDSDocumentEntryCreationTimeFrom") == value.strip("'")


@pytest.mark.parametrize("value", ["20240230", "202413", "24", "'hier'", "2024-01-31", "9999"])
def test_what_is_no_time(value: str) -> None:
    with pytest.raises(NotAQuery):
        read(FIND_DOCUMENTS, {**REQUIRED, "$XDSDocumentEntryCreationTimeFrom": [value]})


@pytest.mark.parametrize(("end", "value"), [("From", "0000"), ("To", "9999"), ("To", "99991231235959")])
def test_the_year_that_is_no_limit(end: str, value: str) -> None:
    query = read(FIND_DOCUMENTS, {**REQUIRED, f"$XDSDocumentEntryCreationTime{end}": [value]})
    assert query.one(f"$XDSDocumentEntryCreationTime{end}") == value


def test_lists_that_all_count_stay_apart() -> None:
    labels = ["('N^^1.2.3')", "('A^^1.2.3','B^^1.2.3')"]
    query = read(FIND_DOCUMENTS, {**REQUIRED, "$XDSDocumentEntryConfidentialityCode": labels})
    assert query.values["$XDSDocumentEntryConfidentialityCode"] == (("N^^1.2.3",), ("A^^1.2.3", "B^^1.2.3"))


@pytest.mark.parametrize("value", ["x", "urn:oid:1.2.3", "urn:uuid:5c4f972b"])
def test_what_is_no_uuid(value: str) -> None:
    with pytest.raises(NotAQuery):
        read(GET_DOCUMENTS, {"$XDSDocumentEntryEntryUUID": [f"'{value}'"]})


@pytest.mark.parametrize("value", [GET_DOCUMENTS.upper(), GET_DOCUMENTS[9:]])
def test_uuids_are_in_lower_case(value: str) -> None:
    query = read(GET_DOCUMENTS, {"$XDSDocumentEntryEntryUUID": [f"'{value}'"]})
    assert query.all("$XDSDocumentEntryEntryUUID") == (GET_DOCUMENTS,)
