"""Mail of the health messaging service (MSSanté) to FHIR: messages, their documents, receipts."""

from mappings.mail.mapping import ins_of, to_bundle
from mappings.mail.message import Address, Mail, read

__all__ = ["Address", "Mail", "ins_of", "read", "to_bundle"]
