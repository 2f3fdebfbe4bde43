"""Stored resources as the objects of a registry, with all their attributes."""

import asyncio
import hashlib
from collections.abc import Sequence

from fhirserver.errors import NotFound, Unprocessable
from fhirserver.model.json import Resource
from fhirserver.operations.content import bytes_of, original_of
from fhirserver.operations.xdm import referred
from fhirserver.server import Server
from fhirserver.xds.associations import Association
from fhirserver.xds.criteria import register
from mappings.cda.xml import Node
from mappings.xds import export
from mappings.xds.export.ebrim import APPROVED


async def listing(resources: Sequence[Resource], associations: Sequence[Association], server: Server) -> Node:
    """The RegistryObjectList of documents, submission sets, folders and associations."""
    known = await referred(list(resources), server)
    own = register(server)
    files = await asyncio.gather(*(_file(each, server) for each in resources))

    def list_all() -> Node:
        registry = export.Registry()
        for each, file in zip(resources, files, strict=True):
            if file is None:
                export.list_to_package(each, registry, known.get, own)
            else:
                export.reference_to_entry(each, file, registry, known.get, [], own)
        for link in associations:
            registry.association(
                link.type, link.source, link.target, status=link.status, availability=APPROVED
            )
        return registry.objects

    return await asyncio.to_thread(list_all)  # many take long: others are served meanwhile


async def _file(resource: Resource, server: Server) -> export.File | None:
    """Size and hash of a document, from its bytes where it does not say them; None of what is no document."""
    if resource["resourceType"] != "DocumentReference":
        return None
    content: Resource = next(iter(resource.get("content", ())), {})
    attachment: Resource = content.get("attachment", {})
    size, sha1 = attachment.get("size"), export.hexadecimal(attachment.get("hash", ""))
    if size is None or not sha1:
        try:
            raw = await bytes_of(await original_of(attachment, server), server)
        except (NotFound, Unprocessable):  # it is kept elsewhere, or nowhere: XDS is told what is known
            return export.File(int(size or 0), sha1)
        size, sha1 = len(raw), hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    return export.File(int(size), sha1)
