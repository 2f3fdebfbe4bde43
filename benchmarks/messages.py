"""HL7v2 messages about the synthetic people, for load over MLLP."""

from datetime import date

from benchmarks.codes import CBC
from benchmarks.measures import decimal
from benchmarks.people import HOSPITAL_OID, INS_OID, TODAY, Person

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


def adt(person: Person) -> bytes:
    """An admission (ADT^A01, version 2.5 with the French fields), without MLLP framing."""
    control = f"A{person.seed}-{person.index}"
    return _message(
        _header(control, "ADT^A01^ADT_A01", "GAM"),
        f"EVN||{TODAY:%Y%m%d}083000",
        _pid(person),
        f"PV1|1|I|CARDIO^101^1^CHU-DEMO||||{_doctor(person)}||||||||||||{person.ipp}^^^&{HOSPITAL_OID}.1&ISO^VN"
        + "|" * 25
        + f"{TODAY:%Y%m%d}083000",
    )


def oru(person: Person) -> bytes:
    """A blood report (ORU^R01), six numeric results."""
    chance = person.random("oru")
    control = f"R{person.seed}-{person.index}"
    when = f"{date(2025, 12, chance.randint(1, 28)):%Y%m%d}0815"
    results = []
    for number, (code, name, unit, mean, deviation, low, high, digits) in enumerate(CBC, 1):
        value = decimal(chance.gauss(mean, deviation), digits)
        flag = "L" if value < decimal(low, digits) else "H" if value > decimal(high, digits) else "N"
        between = f"{decimal(low, digits)}-{decimal(high, digits)}"
        results.append(
            f"OBX|{number}|NM|{code}^{name}^LN||{value}|{unit}^^UCUM|{between}|{flag}|||F|||{when}+0100"
        )
    return _message(
        _header(control, "ORU^R01^ORU_R01", "SGL"),
        _pid(person),
        f"ORC|NW||L{person.ipp}^SGL",
        f"OBR|1||L{person.ipp}^SGL|58410-2^Hémogramme^LN|||{when}+0100|||||||||{_doctor(person)}||||||{when}+0100||HM|F",
        *results,
    )


def _header(control: str, kind: str, sender: str) -> str:
    return (
        f"MSH|^~\\&|{sender}|CHU-DEMO|DMP|DMP|{TODAY:%Y%m%d}083000+0100||{kind}|{control}|P|2.5"
        "|||||FRA|UNICODE UTF-8|FR"
    )


def _pid(person: Person) -> str:
    """PID: the identity of birth, then the used name; the place of birth is an address of type BDL."""
    identifiers = (
        f"{person.ipp}^^^CHU-DEMO&{HOSPITAL_OID}&ISO^PI"
        f"~{person.ins}^^^ASIP-SANTE-INS-NIR-TEST&{INS_OID}&ISO^INS"
    )
    first, given = _text(person.given[0]), _text(" ".join(person.given))
    names = f"{_text(person.birth_name)}^{first}^{given}^^^^L"
    if person.used_name:
        names += f"~{_text(person.used_name)}^{first}^^^^^D"
    home = f"{_text(person.street)}^^{_text(person.home.city)}^^{person.home.postal_code}^FRA^H"
    birth = f"^^{_text(person.birth_place.city)}^^^^BDL^^{person.birth_place.insee}"
    return (
        f"PID|1||{identifiers}||{names}||{person.birth_date:%Y%m%d}|{'F' if person.sex == 'female' else 'M'}"
        f"|||{home}~{birth}||^PRN^CP^^^^^^^^^{person.phone}~^NET^Internet^{person.email}" + "|" * 19 + "VALI"
    )


def _doctor(person: Person) -> str:
    doctor = person.doctor
    return (
        f"{doctor.id_nat}^{_text(doctor.family)}^{_text(doctor.given)}^^^DR^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO"
        "^L^^^IDNPS"
    )


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


def _message(*segments: str) -> bytes:
    return "".join(f"{segment}\r" for segment in segments).encode()
