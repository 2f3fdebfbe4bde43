"""What an endpoint does, as WSDL 1.1 and XML Schema. https://www.w3.org/TR/wsdl.html, IHE ITI TF-2 V.2.4"""

from collections.abc import Iterable
from importlib.resources import files
from typing import Final
from xml.sax.saxutils import quoteattr

from fhirserver.errors import NotFound
from fhirserver.xds import TRANSACTIONS
from fhirserver.xds.request import Transaction
from mappings.xds.ebrs import LCM, QUERY, RS, XDSB

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
SCHEMAS: Final = {"xdsb": XDSB, "lcm": LCM, "rs": RS, "query": QUERY, "rim": ""}
"""The files, and the namespaces that a WSDL imports; rim is imported by others."""

_SUBMIT: Final = ("lcm:SubmitObjectsRequest", "rs:RegistryResponse")
_ELEMENTS: Final = {
    "ProvideAndRegisterDocumentSet-b": ("xdsb:ProvideAndRegisterDocumentSetRequest", "rs:RegistryResponse"),
    "RetrieveDocumentSet": ("xdsb:RetrieveDocumentSetRequest", "xdsb:RetrieveDocumentSetResponse"),
    "RegisterDocumentSet-b": _SUBMIT,
    "UpdateDocumentSet": _SUBMIT,
    "RegistryStoredQuery": ("query:AdhocQueryRequest", "query:AdhocQueryResponse"),
}
"""The last part of an action -> the elements in soap:Body of the message and its answer."""


def schema(name: str) -> bytes:
    """An XML Schema by its name. Raises NotFound."""
    if name not in SCHEMAS:
        raise NotFound(f"There is no schema {name[:40]!r}; there are {', '.join(SCHEMAS)}")
    return files("fhirserver.xds").joinpath("wsdl", f"{name}.xsd").read_bytes()


def wsdl(place: str, location: str) -> bytes:
    """The WSDL of an endpoint at this URL; ``place`` as in ``Endpoint.answer``."""
    done = [t for t in TRANSACTIONS.values() if place in ("", t.place)]
    imports = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="?xsd={name}"/>'
        for name, namespace in SCHEMAS.items()
        if namespace
    )
    prefixes = " ".join(f'xmlns:{name}="{space}"' for name, space in SCHEMAS.items() if space)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" {prefixes} '
        'xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata" xmlns:own="{XDSB}" '
        f'name="DocumentSharing" targetNamespace="{XDSB}">'
        f"<wsdl:types><xs:schema>{imports}</xs:schema></wsdl:types>"
        f"{''.join(_messages(done))}"
        f'<wsdl:portType name="DocumentSharing">{"".join(map(_operation, done))}</wsdl:portType>'
        '<wsdl:binding name="DocumentSharingSoap12" type="own:DocumentSharing">'
        '<soap12:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>'
        '<wsaw:UsingAddressing xmlns:wsaw="http://www.w3.org/2006/05/addressing/wsdl" wsdl:required="true"/>'
        f"{''.join(map(_bound, done))}</wsdl:binding>"
        '<wsdl:service name="DocumentSharing">'
        '<wsdl:port name="DocumentSharingSoap12" binding="own:DocumentSharingSoap12">'
        f"<soap12:address location={quoteattr(location)}/></wsdl:port></wsdl:service></wsdl:definitions>"
    )
    return text.encode()


def _name(transaction: Transaction) -> str:
    return transaction.action.rpartition(":")[2]


def _messages(done: Iterable[Transaction]) -> Iterable[str]:
    for transaction in done:
        name = _name(transaction)
        for suffix, element in zip(("Message", "ResponseMessage"), _ELEMENTS[name], strict=True):
            part = f'<wsdl:part name="body" element="{element}"/>'
            yield f'<wsdl:message name="{name}{suffix}">{part}</wsdl:message>'


def _operation(transaction: Transaction) -> str:
    name = _name(transaction)
    return (
        f'<wsdl:operation name="{name}">'
        f'<wsdl:input message="own:{name}Message" wsam:Action="{transaction.action}"/>'
        f'<wsdl:output message="own:{name}ResponseMessage" wsam:Action="{transaction.answer}"/>'
        "</wsdl:operation>"
    )


def _bound(transaction: Transaction) -> str:
    body = '<soap12:body use="literal"/>'
    return (
        f'<wsdl:operation name="{_name(transaction)}"><soap12:operation soapAction="{transaction.action}"/>'
        f"<wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>"
    )
