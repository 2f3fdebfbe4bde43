"""Send every sample through its door, wait until it is processed, read the record, say what changed."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from fhirserver.demo import report
from fhirserver.demo.client import Client, DemoFailed
from fhirserver.demo.record import Record, read_record
from fhirserver.demo.report import Delivery
from fhirserver.demo.samples import FOLDER, SAMPLES, Sample

PROCESSED = 30.0
"""Seconds that the inbox may take for one item."""

_FEEDS = {
    "cda": ("/feeds/cda", "application/xml"),
    "xdm": ("/feeds/xdm", "application/zip"),
    "xds": ("/xds/repository", "application/soap+xml"),
}


def run(base_url: str, mllp_port: int, console: Console, folder: Path = FOLDER) -> bool:
    """Run the demonstration against a server that is up, and print it.

    Args:
        base_url: the FHIR base, such as ``http://127.0.0.1:8080/fhir``.
        mllp_port: the port of the HL7v2 listener on the same host.

    Returns:
        True when every sample came to what it was meant to come to.
    """
    client = Client(base_url, mllp_port)
    try:
        before = read_record(client)
        deliveries = []
        for sample in SAMPLES:
            delivery = deliver(sample, client, folder)
            report.delivery(console, delivery)
            deliveries.append(delivery)
        after = read_record(client)
        if after is None:
            raise DemoFailed("The samples were taken, but their person is not found")
    except DemoFailed as error:
        console.print(f"[red]The demonstration stopped:[/red] {report.plain(str(error))}")
        return False
    except FileNotFoundError as error:
        console.print(f"[red]A sample is missing:[/red] {report.plain(str(error))}")
        return False
    finally:
        client.close()
    report.record(console, after)
    report.held(console, deliveries)
    report.changes(console, before or Record(), after)
    return all(delivery.as_meant for delivery in deliveries) and after.intact


def deliver(sample: Sample, client: Client, folder: Path) -> Delivery:
    """Send one sample and wait for what became of it. Raises DemoFailed."""
    content = sample.content(folder)
    if sample.door == "fhir":
        answer = client.post(client.base, content, "application/fhir+json").json()
        responses = [entry["response"] for entry in answer["entry"]]
        resources = [_reference(response.get("location", ""), client.base) for response in responses]
        return Delivery(sample, f"POST {client.base}", "200 OK", "processed", resources, [])
    if sample.door == "mllp":
        acknowledgement = client.send(content)
        code, control_id = _msa(acknowledgement)
        item = _wait(client, f"/admin/inbox?control-id={quote(control_id)}")
        return _delivered(sample, f"MLLP :{client.mllp_port}", f"ACK {code}", item)
    path, content_type = _FEEDS[sample.door]
    accepted = client.post(path, content, content_type)
    item = _wait(client, accepted.headers["location"])
    return _delivered(sample, f"POST {path}", str(accepted.status), item)


def _delivered(sample: Sample, door: str, answer: str, item: dict[str, Any]) -> Delivery:
    return Delivery(sample, door, answer, item["status"], item.get("resources", []), item.get("issues", []))


def _wait(client: Client, path: str) -> dict[str, Any]:
    """The item of the inbox, or the newest of a list of them, once it is no longer waiting."""
    deadline = time.monotonic() + PROCESSED
    while True:
        found = client.get(path)
        items: list[dict[str, Any]] = found.get("items", [found])
        if items and items[0]["status"] != "received":
            return items[0]
        if time.monotonic() > deadline:
            raise DemoFailed(f"{path} was not processed within {PROCESSED:.0f} s")
        time.sleep(0.05)


def _msa(acknowledgement: str) -> tuple[str, str]:
    """MSA-1 and MSA-2. Raises DemoFailed unless the message was accepted."""
    for segment in acknowledgement.replace("\n", "\r").split("\r"):
        fields = segment.split("|")
        if fields[0] == "MSA" and len(fields) > 2:
            if fields[1] not in ("AA", "CA"):
                raise DemoFailed(f"MLLP: the message {fields[2]} was refused with {fields[1]}")
            return fields[1], fields[2]
    raise DemoFailed("MLLP: the answer has no MSA segment")


def _reference(location: str, base: str) -> str:
    """``Type/id`` of a location, absolute or relative, with or without its version."""
    return location.partition(f"{base}/")[2].partition("/_history")[0] or location.partition("/_history")[0]
