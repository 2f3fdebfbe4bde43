"""What the terminology operations are asked and answer."""

from typing import Any

import httpx2


def parameters(*pairs: tuple[str, str, Any]) -> dict[str, Any]:
    listed = [{"name": name, key: value} for name, key, value in pairs]
    return {"resourceType": "Parameters", "parameter": listed}


def told(answer: httpx2.Response) -> dict[str, Any]:
    """The parameters of an answer by name, those of one value."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == "Parameters"
    return {
        p["name"]: next(v for k, v in p.items() if k.startswith("value"))
        for p in body["parameter"]
        if "part" not in p
    }


def refused(answer: httpx2.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["code"] == code
    return str(body["issue"][0]["details"]["text"])
