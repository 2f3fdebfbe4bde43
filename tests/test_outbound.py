"""Where the server's own requests may go."""

import asyncio
import socket

import pytest

from fhirserver.outbound import Outbound, Refused, Unreachable

PREFIXES = ("https://app.example.org/hooks", "http://10.1.2.3:*")


@pytest.mark.parametrize(
    ("allowed", "url", "accepted"),
    [
        ((), "https://example.org/hook", True),
        ((), "http://93.184.215.14:8080/", True),
        ((), "http://127.0.0.1/", False),
        ((), "http://localhost:9000/", False),
        ((), "http://[::1]/", False),
        ((), "http://[::ffff:10.0.0.1]/", False),
        ((), "http://169.254.169.254/latest/meta-data", False),
        ((), "http://192.168.1.1/", False),
        ((), "http://224.0.0.1/", False),
        ((), "ftp://example.org/", False),
        ((), "https://user@example.org/", False),
        ((), "https://example.org/#part", False),
        ((), "https://example.org/a b", False),
        ((), "https://example.org:99999/", False),
        ((), "http:///path", False),
        ((), "", False),
        (PREFIXES, "https://app.example.org/hooks", True),
        (PREFIXES, "https://app.example.org:443/hooks/1", True),
        (PREFIXES, "https://app.example.org/hooksandmore", False),
        (PREFIXES, "https://app.example.org/hooks/../admin", False),
        (PREFIXES, "https://app.example.org:8443/hooks", False),
        (PREFIXES, "http://app.example.org/hooks", False),
        (PREFIXES, "https://app.example.org.evil.test/hooks", False),
        (PREFIXES, "http://10.1.2.3:9999/any", True),
        (PREFIXES, "https://example.org/", False),
    ],
)
def test_a_url_is_accepted_or_not_by_its_text(allowed: tuple[str, ...], url: str, accepted: bool) -> None:
    outbound = Outbound(allowed)
    if accepted:
        outbound.check(url)
    else:
        with pytest.raises(Refused):
            outbound.check(url)


def test_a_name_is_accepted_by_what_it_resolves_to() -> None:
    """The name of this machine is not public, whatever it looks like."""

    async def send() -> None:
        outbound = Outbound()
        try:
            await outbound.send("POST", f"http://{socket.gethostname()}:9/", {}, b"", 2)
        finally:
            await outbound.close()

    with pytest.raises((Refused, Unreachable)) as caught:
        asyncio.run(send())
    assert isinstance(caught.value, Refused)


def test_nobody_there_is_unreachable() -> None:
    async def send() -> None:
        outbound = Outbound(("http://127.0.0.1:*",))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            try:
                url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
                await outbound.send("POST", url, {"Host": "x"}, b"", 2)
            finally:
                await outbound.close()

    with pytest.raises(Unreachable, match="no connection"):
        asyncio.run(send())
