"""The XDS.b transactions over SOAP. docs/feeds/xds.md"""

from typing import Final

from fhirserver.xds.request import Transaction

_ALL: Final[tuple[Transaction, ...]] = ()

TRANSACTIONS: Final = {transaction.action: transaction for transaction in _ALL}
"""wsa:Action -> transaction."""
