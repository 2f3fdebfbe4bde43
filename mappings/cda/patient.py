"""recordTarget -> Patient. CI-SIS volet Structuration minimale, fr-core-patient-ins."""

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    ad_to_address,
    ad_to_addresses,
    cd_to_codeable_concept,
    en_to_human_name,
    ii_to_identifier,
    pn_to_human_names,
    tel_to_telecom,
    ts_to_date,
    ts_to_datetime,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.xml import Node, text_of
from mappings.core.bundle import prune
from mappings.core.identity import (
    IDENTIFIER_TYPE_SYSTEM,
    INS_TEST_OIDS,
    INS_TYPES,
    NIR_BILLING_OID,
    has_valid_key,
    is_ins,
)
from mappings.core.result import Element, Held, Issue

BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
INSEE_CODE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
RELATIONSHIP = "http://terminology.hl7.org/CodeSystem/v2-0131"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
_QUALIFIED = INS_TYPES.keys() - INS_TEST_OIDS
_SDTC = "{urn:hl7-org:sdtc}"

GENDER = {"M": "male", "F": "female", "UN": "other", "U": "unknown"}
"""v3 AdministrativeGender -> administrative-gender; ``U`` is what French software writes for unknown."""

_RELATIONSHIP = {"ECON": (RELATIONSHIP, "C"), "NOK": (RELATIONSHIP, "N")}
"""v3 RoleClass -> v2 table 0131 where it has a code for it (C emergency contact, N next of kin)."""


def patient_identifier(identifiers: list[Element], location: str, context: Context) -> Element:
    """Choose the identifier that finds the patient: an INS with a valid key, else the first other one.

    The billing number is never it: a child's is often a parent's. A wrong key on a test INS is only a
    warning; on a real one the INS must not find anybody.

    Raises:
        Held: there is none, or there are INS of two persons.
    """
    ins, others, test = [], [], []
    for identifier in identifiers:
        oid = str(identifier["system"]).removeprefix("urn:oid:")
        if oid == NIR_BILLING_OID:
            continue
        if not is_ins(identifier):
            others.append(identifier)
        elif has_valid_key(identifier["value"]):
            ins.append(identifier)
        else:
            context.warn_at(location, f"The INS under {oid} has a wrong key", "invariant")
            if oid in INS_TEST_OIDS:
                test.append(identifier)
    numbers: dict[str, set[str]] = {}
    for identifier in ins:
        numbers.setdefault(identifier["system"], set()).add(identifier["value"])
    if any(len(values) > 1 for values in numbers.values()):
        text = "There are INS of two persons"
        raise Held(text, Issue("error", "business-rule", text, location))
    if chosen := ins + others + test:
        return chosen[0]
    raise Held("No identifier finds the patient: no INS with a valid key and no other identifier")


def patient_role_to_patient(role: Node, context: Context) -> Element:
    """patientRole -> Patient, with the relatives of ``../../informant`` as contacts."""
    person = role.find("patient")
    patient: Element = {
        "resourceType": "Patient",
        "identifier": [i for node in role.findall("id") if (i := _identifier(node))],
        "telecom": tel_to_telecom(role.findall("telecom")),
        "address": ad_to_addresses(role.findall("addr")),
    }
    if person is not None:
        patient |= _person(person, context)
    return prune(patient) or {"resourceType": "Patient"}


def source_patient(patient: Element) -> Element:
    """The identity as the sender knew it, to be contained in the DocumentReference it came with."""
    kept = ("resourceType", "identifier", "name", "gender", "birthDate", "address", "extension")
    return {"id": "source-patient", **{name: patient[name] for name in kept if name in patient}}


def record_target(document: ClinicalDocument) -> Node:
    """The one patient a document is about. Raises Held when there are several, or none."""
    roles = document.root.findall("recordTarget/patientRole")
    if len(roles) != 1:
        raise Held(f"The document has {len(roles)} patients in recordTarget; one is needed")
    return roles[0]


def disagreeing_traits(patient: Element) -> list[str]:
    """Name the traits that contradict the INS's own digits (sex, year of birth)."""
    disagreeing = set()
    for identifier in patient.get("identifier", []):
        value = str(identifier.get("value", ""))
        if not is_ins(identifier) or not has_valid_key(value):
            continue
        sex = {"1": "male", "3": "male", "7": "male", "2": "female", "4": "female", "8": "female"}.get(
            value[0]
        )
        if sex and patient.get("gender") in ("male", "female") and patient["gender"] != sex:
            disagreeing.add("gender")
        if (birth_date := patient.get("birthDate")) and birth_date[2:4] != value[1:3]:
            disagreeing.add("birthDate")
    return sorted(disagreeing)


def _identifier(node: Node) -> Element | None:
    identifier = ii_to_identifier(node)
    if identifier and node.get("root") == NIR_BILLING_OID:
        kind = {"coding": [{"system": IDENTIFIER_TYPE_SYSTEM, "code": "NH"}]}
        return {"use": "secondary", "type": kind, **identifier}
    if identifier and node.get("root") in _QUALIFIED and not has_valid_key(identifier["value"]):
        return {name: value for name, value in identifier.items() if name != "use"}  # never the official one
    return identifier


def _person(person: Node, context: Context) -> Element:
    gender = person.find("administrativeGenderCode")
    code = "" if gender is None else (gender.get("code") or "").strip()
    if gender is not None and code and code not in GENDER:
        context.warn(gender, f"Unknown gender code {code!r}", "code-invalid")
    birth = person.find("birthTime")
    return {
        "name": [name for node in person.findall("name") for name in pn_to_human_names(node)],
        "gender": GENDER.get(code),
        "birthDate": ts_to_date(birth, context),
        "extension": _birth_place(person.find("birthplace/place/addr")),
        "contact": _contacts(person, context),
        **_deceased(person, context),
        **_multiple_birth(person),
    }


def _birth_place(addr: Node | None) -> list[Element]:
    """The county is the INSEE code of the commune (or of the foreign country)."""
    if addr is None:
        return []
    code = text_of(addr.find("county"))
    address = ad_to_address(addr) or {}
    address.pop("district", None)
    if code:
        address["extension"] = [{"url": INSEE_CODE, "valueCoding": {"system": COMMUNES, "code": code}}]
    return [{"url": BIRTH_PLACE, "valueAddress": address}] if address else []


def _deceased(person: Node, context: Context) -> Element:
    if time := ts_to_datetime(person.find(f"{_SDTC}deceasedTime"), context):
        return {"deceasedDateTime": time}
    indicator = person.find(f"{_SDTC}deceasedInd")
    return {} if indicator is None else {"deceasedBoolean": indicator.get("value") == "true"}


def _multiple_birth(person: Node) -> Element:
    order = person.find(f"{_SDTC}multipleBirthOrderNumber")
    if order is not None and (order.get("value") or "").isdecimal():
        return {"multipleBirthInteger": int(order.get("value") or 0)}
    indicator = person.find(f"{_SDTC}multipleBirthInd")
    return {} if indicator is None else {"multipleBirthBoolean": indicator.get("value") == "true"}


def _contacts(person: Node, context: Context) -> list[Element]:
    """guardian and informant/relatedEntity -> Patient.contact, unless nothing names or locates them."""
    contacts = [
        _contact(guardian, "guardianPerson/name", [_role("GUARD")], context)
        for guardian in person.findall("guardian")
    ]
    document = next(person.iterancestors("ClinicalDocument"))
    for related in document.findall("informant/relatedEntity"):
        relation = cd_to_codeable_concept(related.find("code"), context)
        roles = [_role(related.get("classCode") or ""), relation]
        contacts.append(_contact(related, "relatedPerson/name", roles, context))
    return [contact for contact in contacts if set(contact) - {"relationship"}]


def _contact(node: Node, name: str, relationship: list[Element | None], context: Context) -> Element:
    names = [human for part in node.findall(name) if (human := en_to_human_name(part))]
    addresses = ad_to_addresses(node.findall("addr"))
    contact: Element = prune(
        {
            "relationship": [r for r in relationship if r],
            "name": names[0] if names else None,
            "telecom": tel_to_telecom(node.findall("telecom")),
            "address": addresses[0] if addresses else None,
        }
    )
    return contact or {}


def _role(class_code: str) -> Element | None:
    if not class_code:
        return None
    system, code = _RELATIONSHIP.get(class_code, (ROLE_CLASS, class_code))
    return {"coding": [{"system": system, "code": code}]}
