"""Services beside CVAT: the webhook receiver, Grafana, Nuclio's functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from orchestration.doctor.findings import SECONDS, Finding, Level

HEALTHY = "healthy"


def check_receiver(address: str) -> Iterator[Finding]:
    """The receiver answers, seen from here."""
    try:
        health = httpx.get(f"{address.rstrip('/')}/health", timeout=SECONDS)
        answer = httpx.get(f"{address.rstrip('/')}/ready", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "start it ('reefline up'), or correct REEFLINE_RECEIVER_URL"
        yield Finding("receiver", Level.WARN, f"{address} does not answer from here: {error}", fix)
        return
    if _json(health).get("status") != HEALTHY:
        fix = "give the receiver a port of its own, or correct REEFLINE_RECEIVER_URL; then reefline cvat apply"
        yield Finding("receiver", Level.FAIL, f"{address} is not the receiver, something else answers there", fix)
    elif answer.status_code == httpx.codes.OK:
        yield Finding("receiver", Level.OK, f"{address} is ready")
    else:
        yield Finding("receiver", Level.FAIL, f"{address}/ready says {answer.status_code}", "see the inbox finding")


def check_grafana(address: str) -> Iterator[Finding]:
    """Grafana answers and reaches its own database; nothing is said where there is none."""
    if not address:
        return
    try:
        answer = httpx.get(f"{address.rstrip('/')}/api/health", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "is it up, and is REEFLINE_GRAFANA_URL its address? Empty the setting where there is none"
        yield Finding("Grafana", Level.FAIL, f"{address} does not answer: {error}", fix)
        return
    told = _json(answer)
    if answer.status_code == httpx.codes.OK and told.get("database") == "ok":
        yield Finding("Grafana", Level.OK, f"{address}, version {told.get('version', 'unknown')}")
    else:
        text = f"{address}/api/health says {answer.status_code}, database {told.get('database', 'unknown')}"
        yield Finding("Grafana", Level.FAIL, text, "see Grafana's own log; its database or disk fails")


def check_nuclio(address: str) -> Iterator[Finding]:
    """Nuclio's functions are ready; nothing is said where there is no Nuclio."""
    if not address:
        return
    try:
        answer = httpx.get(f"{address.rstrip('/')}/api/functions", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "is its dashboard up, and is REEFLINE_NUCLIO_URL its address? Only CVAT's magic tools need it"
        yield Finding("Nuclio", Level.FAIL, f"{address} does not answer: {error}", fix)
        return
    functions = _json(answer) if answer.status_code == httpx.codes.OK else {}
    bad = {name: _state(found) for name, found in functions.items() if _state(found) != "ready"}
    for name, state in sorted(bad.items()):
        fix = f"nuctl get function {name}; deploy it again as deploy/nuclio/README.md says"
        yield Finding("Nuclio", Level.FAIL, f"function {name} is {state}", fix)
    if not functions:
        fix = "deploy functions as deploy/nuclio/README.md says, or empty REEFLINE_NUCLIO_URL"
        yield Finding("Nuclio", Level.WARN, f"{address} lists no function ({answer.status_code})", fix)
    elif not bad:
        yield Finding("Nuclio", Level.OK, f"{len(functions)} functions are ready")


def _state(function: Any) -> str:
    return str(function.get("status", {}).get("state", "unknown")) if isinstance(function, dict) else "unknown"


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
