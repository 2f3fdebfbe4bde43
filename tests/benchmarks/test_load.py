import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.load import Call, Connection, Exchange, Measured, run

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\nx"
ACCEPTED = b"\x0bMSH|^~\\&|A\rMSA|AA|1\r\x1c\r"
REFUSED = b"\x0bMSH|^~\\&|A\rMSA|AR|1\r\x1c\r"


def answering(answer: bytes, end: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(end)
                writer.write(answer)
                if answer in (CLOSING, b""):
                    return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    return handle


def measure(answer: bytes, exchange: Exchange, end: bytes, calls: int, concurrency: int = 4) -> Measured:
    async def main() -> Measured:
        async with await asyncio.start_server(answering(answer, end), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            source = (Call("GET", "/x", b"m") for _ in range(calls))
            return await run(source, port, exchange, concurrency, seconds=10)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "right", "errors"),
    [
        (OK, 20, {}),
        (CHUNKED, 20, {}),
        (CLOSING, 20, {}),
        (BROKEN, 0, {"HTTP 500": 20}),
        (b"", 0, {"IncompleteReadError": 20}),
    ],
)
def test_http_answers_are_counted_by_what_they_are(answer: bytes, right: int, errors: dict[str, int]) -> None:
    measured = measure(answer, Connection.http, b"\r\n\r\nm", calls=20)
    assert (len(measured.latencies), measured.errors) == (right, errors)
    assert measured.count == 20


@pytest.mark.parametrize(
    ("answer", "right", "errors"),
    [(ACCEPTED, 9, {}), (REFUSED, 0, {"not acknowledged with AA or CA": 9})],
)
def test_mllp_answers_are_counted_by_their_code(answer: bytes, right: int, errors: dict[str, int]) -> None:
    measured = measure(answer, Connection.mllp, b"\x1c\r", calls=9)
    assert (len(measured.latencies), measured.errors) == (right, errors)


def test_no_connection_is_an_error_and_not_the_end() -> None:
    measured = asyncio.run(run([Call("GET", "/")] * 3, 1, Connection.http, 2, seconds=10))
    assert measured.errors == {"ConnectionRefusedError": 3}


def test_the_seconds_end_it() -> None:
    measured = asyncio.run(run(iter(lambda: Call("GET", "/"), None), 1, Connection.http, 1, seconds=0.05))
    assert measured.seconds < 5


def test_percentiles_and_rate() -> None:
    measured = Measured(2.0, [0.4, 0.1, 0.2, 0.3], {})
    assert (measured.percentile(0.5), measured.percentile(0.99), measured.rate) == (0.3, 0.4, 2.0)
    assert (Measured().percentile(0.5), Measured().rate) == (0.0, 0.0)
