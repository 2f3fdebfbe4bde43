"""The XDS.b transactions over SOAP. docs/feeds/xds.md"""

from typing import Final

from fhirserver.xds.find import find
from fhirserver.xds.publish import publish
from fhirserver.xds.request import REGISTRY, REPOSITORY, Transaction
from fhirserver.xds.retrieve import refusal, retrieve
from fhirserver.xds.update import update
from mappings.xds.provide import PROVIDE, REGISTER, UPDATE
from mappings.xds.query import STORED_QUERY, adhoc_query_refusal
from mappings.xds.retrieval import RETRIEVE

_ALL: Final = (
    Transaction(PROVIDE, f"{PROVIDE}Response", publish, REPOSITORY),
    Transaction(RETRIEVE, f"{RETRIEVE}Response", retrieve, REPOSITORY, refusal, mtom=True),
    Transaction(REGISTER, f"{REGISTER}Response", publish, REGISTRY),
    Transaction(STORED_QUERY, f"{STORED_QUERY}Response", find, REGISTRY, adhoc_query_refusal),
    Transaction(UPDATE, f"{UPDATE}Response", update, REGISTRY),
)

TRANSACTIONS: Final = {transaction.action: transaction for transaction in _ALL}
"""wsa:Action -> transaction."""
