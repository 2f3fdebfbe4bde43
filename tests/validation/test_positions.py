import pytest

from fhirserver.errors import Issue
from fhirserver.validation.positions import located

JSON = b"""{
  "resourceType": "Patient",
  "name": [
    {"given": ["Zo\xc3\xab", ""]},
    {"family": "X", "given": [ "a,b]", 1 ]}
  ],
  "birthDate": "x", "_birthDate": {"extension": [{"url": "u"}]},
  "deceasedBoolean": 1,
  "contact": [ { "name": { "text": "\\"{" } }, {} ]
}"""
XML = b"""<Patient xmlns="http://hl7.org/fhir">
  <name><given value="A"/><given value="B"/></name>
  <contained><Organization><id value="o"/></Organization></contained>
  <birthDate value="x"/>
</Patient>"""
PARAMETERS = (
    b'{"resourceType": "Parameters",\n "parameter": [{"name": "resource", "resource": {"active": 1}}]}'
)


@pytest.mark.parametrize(
    ("body", "within", "expression", "expected"),
    [
        (JSON, "", "Patient", (1, 1)),
        (JSON, "", "Patient.name[0].given[1]", (4, 23)),
        (JSON, "", "Patient.name[1].given[1]", (5, 40)),
        (JSON, "", "Patient.name[1].family", (5, 6)),
        (JSON, "", "Patient.birthDate", (7, 3)),
        (JSON, "", "Patient.birthDate.extension[0].url", (7, 51)),
        (JSON, "", "Patient.deceased.ofType(boolean)", (8, 3)),
        (JSON, "", "Patient.contact[1]", (9, 47)),
        (JSON, "", "Patient.contact[1].gender", (9, 47)),
        (JSON, "", "Patient.link", (1, 1)),
        (XML, "", "Patient.name[0].given[1]", (2, 27)),
        (XML, "", "Patient.contained[0].id", (3, 28)),
        (XML, "", "Patient.birthDate", (4, 3)),
        (XML, "", "Patient.link[0].other", (1, 1)),
        (PARAMETERS, "parameter[0].resource", "Patient.active", (2, 50)),
        (b"{", "", "Patient.name", (1, 1)),
        (b"<Patient><name>", "", "Patient.name", (1, 10)),
        (b"", "", "Patient.name", (0, 0)),
    ],
)
def test_place(body: bytes, within: str, expression: str, expected: tuple[int, int]) -> None:
    (issue,) = located([Issue("error", "value", "x", expression, rule="type")], body, within=within)
    assert (issue.line, issue.column) == expected


def test_issues_that_name_no_element_stay_as_they_are() -> None:
    issues = [Issue("error", "value", "x"), Issue("error", "value", "x", "Patient.name")]
    assert located(issues, JSON) == issues
