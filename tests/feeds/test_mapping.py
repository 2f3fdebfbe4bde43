"""The settings reach the mappings."""

from collections.abc import Callable

from fhirserver.feeds.mapping import source_of
from fhirserver.settings import Settings


def test_source_has_the_settings(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        timezone="Europe/Berlin",
        xds_timezone="Europe/Paris",
        hl7v2_charset="cp1252",
        authorities={"LAB": "urn:oid:1.2.3"},
    )
    source = source_of("LAB", settings)
    assert (source.name, source.timezone, source.xds_timezone) == ("LAB", "Europe/Berlin", "Europe/Paris")
    assert (source.charset, source.authorities) == ("cp1252", {"LAB": "urn:oid:1.2.3"})
    assert source_of("LAB", make_settings()).xds_timezone == "UTC", "as the standard says"
