"""Search: text -> Query (an algebra that storage runs), resource -> Index (what the algebra finds).

indexer = search.Indexer(definitions, base_url)
index = indexer.index(resource)
query = search.compile("Patient", [("family", "durand")], indexer=indexer)
"""

from fhirserver.search.indexer import Indexer
from fhirserver.search.narrowing import narrow
from fhirserver.search.parse import compile
from fhirserver.search.query import Index, Query

__all__ = ["Index", "Indexer", "Query", "compile", "narrow"]
