import pytest

from mappings.core.identity import has_valid_key, ins_identifier, ins_values, is_ins


@pytest.mark.parametrize(
    ("ins", "valid"),
    [
        ("279035121518989", True),
        ("162018885045327", True),
        ("260058815400233", True),
        ("279035121518988", False),
        ("276059205062865", False),
        ("190012A12345615", True),  # 2A counts as 19: 1900119123456 mod 97 = 82
        ("190012B12345642", True),  # 2B counts as 18: 1900118123456 mod 97 = 55
        ("190012C12345615", False),
        ("2790351215189", False),
        ("", False),
        ("27903512151898٩", False),
    ],
)
def test_key(ins: str, valid: bool) -> None:
    assert has_valid_key(ins) is valid


def test_ins_identifier_says_its_kind() -> None:
    identifier = ins_identifier("1.2.250.1.213.1.4.10", "279035121518989")
    assert identifier["system"] == "urn:oid:1.2.250.1.213.1.4.10"
    assert identifier["type"]["coding"][0]["code"] == "INS-NIR-TEST"


def test_ins_of_a_list() -> None:
    other = {"system": "urn:oid:1.2.3", "value": "8"}
    billing = {"system": "urn:oid:1.2.250.1.213.1.4.13", "value": "279035121518989"}
    assert not is_ins(other)
    assert not is_ins(billing)
    assert ins_values([other, billing, ins_identifier("1.2.250.1.213.1.4.9", "1")]) == {"1"}
