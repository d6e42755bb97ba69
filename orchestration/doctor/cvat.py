"""CVAT: it answers, lets us in, holds what is declared, and its webhooks reach the receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import httpx

from labels.survey import SurveyConfig
from orchestration.doctor.findings import Finding, Level
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable
from resources.cvat.compatibility import compatibility
from resources.cvat.declared import Declared, Sign, differences

WORKER_S = 15.0
"""How long CVAT's webhook worker may take to send something; it takes a fraction of a second."""
ONLY_WORKER = {"worker"}
"""Groups of an account that can work in jobs, but make no task."""


def check_cvat(cvat: CvatClient, declare: Callable[[], Declared], surveys: Sequence[SurveyConfig]) -> Iterator[Finding]:
    """CVAT answers, lets us in, holds what is declared, and reaches the receiver."""
    try:
        about = cvat.check()
    except (CvatRefused, CvatUnavailable) as error:
        account = "correct REEFLINE_CVAT_TOKEN, or REEFLINE_CVAT_USERNAME and REEFLINE_CVAT_PASSWORD"
        address = "is it up, and is REEFLINE_CVAT_URL its address from here?"
        fix = account if isinstance(error, CvatRefused) else address
        yield Finding("CVAT", Level.FAIL, str(error), fix)
        return
    found = compatibility(str(about.get("version", "")))
    sdk = version("cvat-sdk")
    level = Level.OK if found.supported else Level.FAIL
    yield Finding("CVAT", level, f"{about.get('name')} {found.version} at {cvat.url}, spoken to by cvat-sdk {sdk}")
    for remark in found.remarks:
        yield Finding("CVAT version", Level.OK if found.supported else Level.FAIL, remark)
    try:
        yield from _rights(cvat)
        if surveys:
            yield from _drift(cvat, declare())
            yield from _webhooks(cvat, declare())
    except (CvatRefused, CvatUnavailable) as error:
        yield Finding("CVAT rights", Level.FAIL, str(error), "give the service account the right, or use another one")


def _rights(cvat: CvatClient) -> Iterator[Finding]:
    account = cvat.session.request("GET", "/api/users/self")
    groups = set(account.get("groups") or [])
    if groups and groups <= ONLY_WORKER:
        text = f"the account {account['username']!r} is in group 'worker' only: it can make no project and no task"
        yield Finding("CVAT rights", Level.FAIL, text, "put it into group 'user' in CVAT's administration")


def _drift(cvat: CvatClient, declared: Declared) -> Iterator[Finding]:
    found = [d for d in differences(cvat, declared) if d.sign != Sign.KEEP]
    for difference in found:
        text = f"{difference.where}: {difference.sign} {difference.text}"
        yield Finding("CVAT holds", Level.FAIL, text, "reefline cvat apply" if difference.act else "a person decides")
    if not found:
        yield Finding("CVAT holds", Level.OK, f"{len(declared.projects)} projects as the survey files say")


ANSWERS = {
    401: "the secret in CVAT is another one: reefline cvat apply writes it anew",
    404: "REEFLINE_RECEIVER_URL leads to something else than the receiver",
    407: "CVAT's outbound proxy refuses private addresses: allow the receiver's in SMOKESCREEN_OPTS",
    502: "CVAT does not reach the receiver: is REEFLINE_RECEIVER_URL its address as seen from CVAT's machine?",
    503: "the receiver cannot write its inbox: see the inbox finding",
    504: "the receiver answers too late: see the machine's load",
}
"""What the status of a ping, as CVAT saw it, means."""


def _webhooks(cvat: CvatClient, declared: Declared) -> Iterator[Finding]:
    """CVAT sends a ping now and tells how it was answered; the worker that sends events is tried with the same."""
    tried = False
    for webhook in cvat.webhooks(declared.target_url.removesuffix("/cvat/webhook")):
        delivery = cvat.session.request("POST", f"/api/webhooks/{webhook['id']}/ping")
        status = int(delivery["status_code"] or 0)
        what = f"webhook {webhook['id']}"
        if status != httpx.codes.OK:
            fix = ANSWERS.get(status, "look at the webhook's deliveries in CVAT")
            yield Finding(what, Level.FAIL, f"a ping to {webhook['target_url']} was answered with {status}", fix)
            continue
        yield Finding(what, Level.OK, f"CVAT reaches {webhook['target_url']}")
        if not webhook["is_active"]:
            yield Finding(what, Level.FAIL, "it is switched off in CVAT: no event is sent", "switch it on in CVAT")
        if not tried:
            tried = True
            yield _worker(cvat, webhook["id"], delivery)


def _worker(cvat: CvatClient, webhook: int, ping: dict[str, Any]) -> Finding:
    """Whether CVAT's webhook worker lives.

    CVAT's server sends a ping by itself; events are sent by a worker of its own, and so is a delivery that is asked
    for again. Asking for the ping again therefore shows whether the worker lives, and does nothing else.
    """
    cvat.session.request("POST", f"/api/webhooks/{webhook}/deliveries/{ping['id']}/redelivery")
    deadline = time.monotonic() + WORKER_S
    while time.monotonic() < deadline:
        if any(d["redelivery"] and d["event"] == "ping" for d in cvat.deliveries(webhook, ping["id"])):
            return Finding("webhook worker", Level.OK, "CVAT's worker sends events")
        time.sleep(0.3)
    text = f"CVAT has sent nothing within {WORKER_S:.0f} s: its webhook worker is down, or far behind"
    return Finding("webhook worker", Level.FAIL, text, "docker compose up -d cvat_worker_webhooks; see its log")
