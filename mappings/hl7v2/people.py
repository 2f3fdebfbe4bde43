"""Who acts: XCN[Practitioner], XON[Organization] and references to them.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html
"""

from mappings.core.bundle import mention, prune
from mappings.core.codes import OID
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    URI_SYSTEM,
    hd_to_uri,
    token,
)
from mappings.hl7v2.segment import Field, Segment

V2_0203_ONLY_FRENCH = {"IDNPS", "RPPS", "ADELI", "FINEG", "FINEJ", "IDNST", "SIREN", "SIRET"}
"""Types of French national identifiers, which table 0203 does not have; their system tells them."""


def xcn_to_practitioner(xcn: Field, context: Context) -> Element | None:
    """Practitioner with its identifier; None without one (then a person is only a name)."""
    value = str(xcn[1])
    if not value:
        return None
    system = hd_to_uri(xcn[9][1], xcn[9][2], xcn[9][3], context) or context.default_system
    practitioner: Element | None = prune(
        {
            "resourceType": "Practitioner",
            "identifier": [{"type": _type(xcn[13], context), "system": system, "value": value}],
            "name": [
                {
                    "family": str(xcn[2][1]),
                    "given": [xcn[3].text, xcn[4].text],
                    "prefix": [xcn[6].text],
                    "suffix": [xcn[5].text, xcn[21].text],
                }
            ],
        }
    )
    return practitioner


def practitioner_reference(xcn: Field, context: Context) -> Element | None:
    """Reference to a professional: an entry of the Bundle when identified, else only a display."""
    display = " ".join(filter(None, (xcn[6].text, xcn[3].text, str(xcn[2][1]))))
    practitioner = xcn_to_practitioner(xcn, context)
    if practitioner is None:
        return {"display": display} if display else None
    identifier = practitioner["identifier"][0]
    url = context.url("Practitioner", identifier["system"], identifier["value"])
    context.entries.append(mention(url, practitioner, identifier))
    reference: Element | None = prune({"reference": url, "display": display})
    return reference


def practitioners(segment: Segment, number: int, context: Context) -> list[Element]:
    references = (practitioner_reference(xcn, context) for xcn in segment.all(number))
    return [reference for reference in references if reference]


def xon_to_reference(xon: Field, context: Context) -> Element | None:
    """Reference to an organization: an entry of the Bundle when it is identified, else only a display."""
    name = xon[1].text
    value = str(xon[10]) or str(xon[3])
    if not value:
        return {"display": name} if name else None
    system = hd_to_uri(xon[6][1], xon[6][2], xon[6][3], context) or context.default_system
    identifier = prune({"type": _type(xon[7], context), "system": system, "value": value})
    organization = prune(
        {
            "resourceType": "Organization",
            "identifier": [identifier],
            "name": name or value,  # org-1 wants a name or an identifier; people want a name
        }
    )
    url = context.url("Organization", system, value)
    context.entries.append(mention(url, organization, identifier))
    reference: Element | None = prune({"reference": url, "display": name})
    return reference


def hd_to_reference(hd: Field, context: Context) -> Element | None:
    """Logical reference to the organization a facility (MSH-4) stands for."""
    uri = hd_to_uri(hd[1], hd[2], hd[3], context)
    if uri is None:
        return None
    reference: Element | None = prune(
        {
            "type": "Organization",
            "identifier": {"system": URI_SYSTEM, "value": uri},
            "display": str(hd[1]) or str(hd[2]),
        }
    )
    return reference


def cwe_to_organization_reference(cwe: Field) -> Element | None:
    """Logical reference to an organization named by a code (OBX-15, RXA-17)."""
    display = cwe[2].text or str(cwe[1])
    return {"display": display} if display else None


def _type(kind: Field, context: Context) -> Element | None:
    code = token(kind).upper()
    if not code or code in V2_0203_ONLY_FRENCH or OID.fullmatch(code):
        return None
    return context.table_concept("0203", code)
