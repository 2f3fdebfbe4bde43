"""A document that replaces another is in the folders of that one, too. IHE ITI TF-2 3.42.4.1.3"""

from collections.abc import Sequence
from typing import Final

from fhirserver.feeds.lookup import Found, find_ids
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from mappings.cda.datatypes import URI
from mappings.xds import export

_FOLDER: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes|folder"


async def folders(replaced: Sequence[tuple[Found, str]], server: Server) -> list[tuple[Found, list[str]]]:
    """The current folders of documents, and the references by which each is to be extended.

    ``replaced`` are the replaced documents, each with the reference (or fullUrl) of what replaces it.

    Raises:
        Unavailable.
    """
    if "List" not in server.types:
        return []
    members: dict[str, list[str]] = {}
    for old, new in replaced:
        named = ("item:identifier", f"{URI}|{export.entry_id(old.resource)}")
        for pair in (("item", old.stored.reference), named):
            query = (pair, ("code", _FOLDER), ("status", "current"), ("_elements", "id"))
            bundle = json.stored((await server.perform(Request("GET", "List", query))).body)
            for entry in bundle.get("entry", ()):
                if new not in (together := members.setdefault(entry["resource"]["id"], [])):
                    together.append(new)
    found = await find_ids([("List", id) for id in members], server)
    return [(one, members[one.stored.id]) for one in found.values()]


def extended(folder: Resource, members: list[str]) -> Resource:
    """A folder with these members, too; what is there is not added again."""
    known = {entry.get("item", {}).get("reference") for entry in folder.get("entry", ())}
    added = [{"item": {"reference": member}} for member in members if member not in known]
    if not added:
        return folder
    dated = {"date": instant(now())} if "date" in folder else {}
    return {**folder, **dated, "entry": [*folder.get("entry", ()), *added]}
