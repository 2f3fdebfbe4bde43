"""``fhirserver send``: HL7v2 messages to a receiver over MLLP, to try a connection."""

import asyncio
import re
import ssl
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape as plain

from fhirserver.cli.opening import fail, must_exist
from fhirserver.feeds.client import Sender, Unanswered, tls_context
from fhirserver.feeds.deferred import acknowledged
from mappings import hl7v2
from mappings.core.result import Unreadable

SOMETIMES_SECONDS = 2.0

console = Console(highlight=False)


def send(
    receiver: Annotated[str, typer.Argument(help="HOST:PORT of the receiver.")],
    files: Annotated[list[Path], typer.Argument(help="Files of one or several messages, batches too.")],
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    ca: Annotated[Path | None, typer.Option(help="PEM CA that signed the receiver's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate of our own (mutual TLS).")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM private key of it.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that each answer may take.")] = 30.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line a message.")] = False,
) -> None:
    """Send messages and print the acknowledgements; 0: all accepted, 1: some refused, 2: not sent."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:]+)\]|([^:]+)):(\d{1,5})", receiver)
    if match is None or int(match[3]) > 65535:
        fail(f"{receiver} is not HOST:PORT, such as 127.0.0.1:2575", 2)
    must_exist([path for path in (*files, ca, certificate, key) if path])
    try:
        context = tls_context(ca, certificate, key) if tls or ca or certificate else None
    except (OSError, ssl.SSLError) as error:
        fail(f"The certificates cannot be used: {error}", 2)
    raise typer.Exit(asyncio.run(_send(match[1] or match[2], int(match[3]), files, context, timeout, quiet)))


async def _send(
    host: str, port: int, files: list[Path], context: ssl.SSLContext | None, seconds: float, quiet: bool
) -> int:
    refused = sent = 0
    try:
        async with Sender(host, port, context, seconds) as sender:
            for file in files:
                messages = hl7v2.split(file.read_bytes()).messages
                if not messages:
                    console.print(f"{plain(str(file))}: there is no MSH segment in it")
                    refused += 1
                for number, message in enumerate(messages, 1):
                    answers = await _exchange(sender, message)
                    sent += 1
                    codes = [acknowledged(answer) or "no acknowledgement" for answer in answers]
                    refused += not set(codes) <= {"AA", "CA"}
                    name = f"{file} [{number}]" if len(messages) > 1 else str(file)
                    console.print(f"{plain(name)}: [bold]{plain(', '.join(codes) or 'sent')}[/]")
                    for answer in () if quiet else answers:
                        text = answer.decode("utf-8", "replace").replace("\r", "\n").strip()
                        console.print(plain(text), soft_wrap=True)
    except (OSError, Unanswered) as error:
        reason = str(error) or type(error).__name__
        console.print(f"After {sent} messages: {host}:{port}: {plain(reason)}", style="red")
        return 2
    console.print(f"{sent} sent, {refused} refused")
    return int(bool(refused))


async def _exchange(sender: Sender, message: bytes) -> list[bytes]:
    """Send a message and give the answers that its mode (MSH-15, MSH-16) asks for.

    Raises:
        Unanswered, OSError.
    """
    try:
        header = hl7v2.header(message)
    except Unreadable:
        return [await sender.send(message)]
    if hl7v2.mode(header) == "original":
        return [await sender.send(message)]
    await sender.write(message)
    answers: list[bytes] = []
    # Of each kind: whether it is wanted of acceptances, of refusals. One that is wanted of both must come.
    waiting = {
        kind: wanted
        for kind, wants in (("C", hl7v2.wants_accept), ("A", hl7v2.wants_application))
        if any(wanted := (wants(header, True), wants(header, False)))
    }
    while waiting:
        must = any(all(wanted) for wanted in waiting.values())
        try:
            answers.append(await sender.answer(0 if must else SOMETIMES_SECONDS))
        except Unanswered:
            if must:
                raise
            break
        code = acknowledged(answers[-1])
        waiting.pop("C", None)  # it comes first, or not at all
        if code != "CA":
            waiting.clear()
    return answers
