"""The Patient resource of a synthetic person, and what the rest of the record uses to point at it."""

from datetime import date, timedelta

from benchmarks.codes import COMMUNES, FR_CORE, HL7, ID_NAT, MAIL_TYPES, Element, coding, concept
from benchmarks.people import HOSPITAL_OID, INS_OID, TODAY, Person


def patient(person: Person) -> Element:
    """The identity with its INS, as the French profile of a qualified identity has it."""
    birth: Element = {
        "extension": [
            {
                "url": f"{FR_CORE}/fr-core-address-insee-code",
                "valueCoding": coding(COMMUNES, person.birth_place.insee),
            }
        ],
        "city": person.birth_place.city,
    }
    names: list[Element] = [
        {
            "extension": [
                {
                    "url": f"{FR_CORE}/fr-core-patient-birth-list-given-name",
                    "valueString": " ".join(person.given),
                }
            ],
            "use": "official",
            "family": person.birth_name,
            "given": [person.given[0]],
        }
    ]
    if person.used_name:
        names.append({"use": "usual", "family": person.used_name, "given": [person.given[0]]})
    mailbox: Element = {
        "extension": [
            {
                "url": f"{FR_CORE}/fr-core-contact-point-email-type",
                "valueCoding": coding(MAIL_TYPES, "MSSANTE"),
            }
        ],
        "system": "email",
        "value": person.mailbox,
    }
    return {
        "resourceType": "Patient",
        "id": person.id,
        "extension": [
            {
                "url": f"{FR_CORE}/fr-core-identity-reliability",
                "extension": [
                    {
                        "url": "identityStatus",
                        "valueCoding": coding(
                            "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445", "VALI"
                        ),
                    }
                ],
            },
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": birth},
        ],
        "identifier": [
            {
                "use": "official",
                "type": concept("https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203", "INS-NIR-TEST"),
                "system": f"urn:oid:{INS_OID}",
                "value": person.ins,
            },
            {
                "use": "usual",
                "type": concept(f"{HL7}/v2-0203", "PI"),
                "system": f"urn:oid:{HOSPITAL_OID}",
                "value": person.ipp,
            },
        ],
        "active": True,
        "name": names,
        "telecom": [
            {"system": "phone", "value": person.phone, "use": "mobile"},
            {"system": "email", "value": person.email, "use": "home"},
            mailbox,
        ],
        "gender": person.sex,
        "birthDate": person.birth_date.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [person.street],
                "city": person.home.city,
                "postalCode": person.home.postal_code,
                "country": "FRA",
            }
        ],
        "generalPractitioner": [practitioner(person)],
    }


def practitioner(person: Person) -> Element:
    """A logical reference to the person's doctor: by number, because directories live elsewhere."""
    doctor = person.doctor
    return {
        "type": "Practitioner",
        "identifier": {"system": ID_NAT, "value": doctor.id_nat},
        "display": f"Dr {doctor.given} {doctor.family}",
    }


def subject(person: Person) -> Element:
    return {"reference": f"Patient/{person.id}"}


def past(person: Person, days: int) -> date:
    """The day so long ago, but not before the birth."""
    return max(TODAY - timedelta(days=days), person.birth_date)


def at(day: date, hour: int) -> str:
    """A dateTime in Paris time; the change of the clocks is put at the ends of March and October."""
    return f"{day.isoformat()}T{hour:02d}:{day.day:02d}:00+0{2 if 4 <= day.month <= 10 else 1}:00"
