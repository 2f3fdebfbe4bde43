"""The checks by area; importing this package registers all of them, in the order of the table."""

from conformance.areas import (  # noqa: I001  # the order in which they are shown
    capabilities as capabilities,
    reading as reading,
    writing as writing,
    history as history,
    conditional as conditional,
    search as search,
    search_types as search_types,
    parameters as parameters,
    paging as paging,
    bundles as bundles,
    formats as formats,
    errors as errors,
    headers as headers,
    concurrency as concurrency,
    binary as binary,
    patch as patch,
    operations as operations,
    terminology as terminology,
    documents as documents,
    queries as queries,
)
