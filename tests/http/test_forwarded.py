"""The base URL behind proxies: believed only from those that are trusted."""

import pytest

from fhirserver.errors import BadRequest
from fhirserver.http.forwarded import Proxies

OWN = "http://127.0.0.1:8080/fhir"
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, OWN),
        ({"x-forwarded-host": "dmp.example.org"}, "http://dmp.example.org/fhir"),
        (
            {"x-forwarded-host": "dmp.example.org", "x-forwarded-proto": "https"},
            "https://dmp.example.org/fhir",
        ),
        (
            {"x-forwarded-host": "h.example", "x-forwarded-proto": "https", "x-forwarded-port": "8443"},
            "https://h.example:8443/fhir",
        ),
        (
            {"x-forwarded-host": "h.example", "x-forwarded-proto": "https", "x-forwarded-port": "443"},
            "https://h.example/fhir",
        ),
        ({"x-forwarded-host": "h.example:9", "x-forwarded-port": "1"}, "http://h.example:9/fhir"),
        ({"x-forwarded-prefix": "/dmp/"}, "http://127.0.0.1:8080/dmp/fhir"),
        ({"x-forwarded-host": "h.example", "x-forwarded-prefix": "/a/b"}, "http://h.example/a/b/fhir"),
        ({"x-forwarded-host": "evil.example, h.example"}, "http://h.example/fhir"),
        (
            {
                "x-forwarded-host": "evil.example, outer.example, inner.example",
                "x-forwarded-for": "9.9.9.9, 10.0.0.2",
            },
            "http://outer.example/fhir",
        ),
        ({"forwarded": "for=192.0.2.1;host=h.example;proto=https"}, "https://h.example/fhir"),
        (
            {"forwarded": 'for="[2001:db8::1]:80";host="h.example:8443";proto=HTTPS'},
            "https://h.example:8443/fhir",
        ),
        ({"forwarded": "host=evil.example, for=1.2.3.4;host=h.example"}, "http://h.example/fhir"),
        (
            {"forwarded": "for=1.2.3.4;host=outer.example;proto=https, for=10.0.0.2;host=inner.example"},
            "https://outer.example/fhir",
        ),
        ({"forwarded": "for=1.2.3.4", "x-forwarded-host": "other.example"}, OWN),
        ({"forwarded": "host=h.example", "x-forwarded-prefix": "/p"}, "http://h.example/p/fhir"),
    ],
)
def test_a_trusted_proxy_is_believed(headers: dict[str, str], expected: str) -> None:
    assert Proxies(("10.0.0.0/8",), OWN).base_url(PEER, headers) == expected


@pytest.mark.parametrize("trusted", [(), ("192.168.0.0/16",), ("10.0.0.2",)])
def test_anybody_else_is_not(trusted: tuple[str, ...]) -> None:
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    assert Proxies(trusted, OWN).base_url(PEER, headers) == OWN


def test_the_path_of_the_configured_base_is_kept() -> None:
    proxies = Proxies(("10.0.0.1",), "https://public.example/dmp/fhir")
    assert proxies.base_url(PEER, {"x-forwarded-host": "h.example"}) == "https://h.example/dmp/fhir"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "h.example/path"},
        {"x-forwarded-host": "h.example\r\nX: y"},
        {"x-forwarded-host": 'h"><script>'},
        {"x-forwarded-host": "h.example", "x-forwarded-proto": "javascript"},
        {"x-forwarded-prefix": "/a?b"},
        {"x-forwarded-prefix": "//evil.example"},
        {"forwarded": "host=user@h.example"},
    ],
)
def test_what_is_no_host_scheme_or_path_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        Proxies(("10.0.0.1",), OWN).base_url(PEER, headers)
