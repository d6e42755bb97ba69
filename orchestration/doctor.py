"""Checks of an installation, each with what to do next. The command is in ``orchestration.cli.doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version

import httpx
from sqlalchemy.exc import SQLAlchemyError

from inference.finders import chosen_card
from inference.registry import ModelError, ModelRegistry, labels_problem
from labels.survey import SurveyConfig
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable
from resources.cvat.compatibility import compatibility
from resources.cvat.declared import Declared, Sign, differences
from resources.inbox import Inbox
from resources.models import InstalledModels
from resources.object_store import ObjectStore, StoreError
from resources.surveys import SurveyCatalog

PROBE = "probes/doctor"
SECONDS = 5.0


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``fix``: the next step, empty when all is well."""

    what: str
    level: Level
    text: str
    fix: str = ""


def check_surveys(catalog: SurveyCatalog) -> Iterator[Finding]:
    """Survey files are there and can be read."""
    surveys, problems = catalog.all()
    for problem in problems:
        yield Finding("surveys", Level.FAIL, problem, "correct the file; 'reefline survey check' says where")
    if surveys:
        yield Finding("surveys", Level.OK, f"{len(surveys)} in {catalog.folder}: {', '.join(s.name for s in surveys)}")
    elif not problems:
        yield Finding("surveys", Level.FAIL, f"no survey file in {catalog.folder}", "copy surveys/example.yaml there")


def check_store(store: ObjectStore) -> Iterator[Finding]:
    """The object store takes a write and gives it back."""
    try:
        store.put(PROBE, b"reefline")
        same = store.get(PROBE) == b"reefline"
    except (StoreError, OSError) as error:
        fix = "check REEFLINE_STORE_URL, the disk and the rights on it"
        yield Finding("object store", Level.FAIL, f"{store.url}: {error}", fix)
        return
    level = Level.OK if same else Level.FAIL
    fix = "" if same else "the store gives back other bytes than were written: check the disk"
    yield Finding("object store", level, f"{store.url}: written and read", fix)


def model_problem(models: ModelRegistry, survey: SurveyConfig) -> str | None:
    """Why a survey's coral model cannot work for it; ``None`` when it can."""
    try:
        return labels_problem(models.card(survey.models.corals), survey.taxonomy)
    except ModelError as error:
        return str(error)


def check_models(models: InstalledModels, surveys: Sequence[SurveyConfig]) -> Iterator[Finding]:
    """The surveys' models exist, their files are the registered ones, and their labels fit."""
    try:
        cards = models.cards()
        used = {survey.models.corals for survey in surveys}
        for survey in surveys:
            for task, choice in (("corners", survey.models.corners), ("lattice", survey.models.lattice)):
                finder = chosen_card(models, task, choice)
                used |= set() if finder is None else {finder.versioned}
            problem = model_problem(models, survey)
            if problem:
                yield Finding(f"model of {survey.name}", Level.FAIL, problem, "change the survey file")
                used.discard(survey.models.corals)
        for name in sorted(used):
            models.weights(models.card(name))
    except (ModelError, StoreError, OSError) as error:
        yield Finding("models", Level.FAIL, str(error), "reefline models list; reefline models rollback NAME")
        return
    verified = ", ".join(map(models.reference, sorted(used))) or "none, no survey uses one"
    yield Finding("models", Level.OK, f"{len(cards)} registered; verified: {verified}")


def check_inbox(inbox: Inbox) -> Iterator[Finding]:
    """The inbox takes writes, and no dead letters lie in it."""
    try:
        inbox.writable()
        counts = inbox.counts()
    except SQLAlchemyError as error:
        fix = "check REEFLINE_INBOX_URL, and whether the database runs and its disk has room"
        yield Finding("inbox", Level.FAIL, f"{inbox.place}: {str(error.args[0]).splitlines()[0]}", fix)
        return
    yield Finding("inbox", Level.OK, f"{inbox.place}: {sum(counts.values())} rows")
    dead = sum(number for (_, state), number in counts.items() if state == "dead")
    if dead:
        yield Finding("dead letters", Level.WARN, f"{dead} rows need a person", "reefline inbox list; then replay")
    healed = sum(number for (source, _), number in counts.items() if source == "reconcile")
    if healed:
        text = f"{healed} events of {sum(counts.values())} came by no webhook and were healed"
        yield Finding("lost events", Level.WARN, text, "see the webhook findings for why")


def check_receiver(address: str) -> Iterator[Finding]:
    """The receiver answers, seen from here."""
    try:
        answer = httpx.get(f"{address.rstrip('/')}/ready", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "start it ('reefline up'), or correct REEFLINE_RECEIVER_URL"
        yield Finding("receiver", Level.WARN, f"{address} does not answer from here: {error}", fix)
        return
    if answer.status_code == httpx.codes.OK:
        yield Finding("receiver", Level.OK, f"{address} is ready")
    else:
        yield Finding("receiver", Level.FAIL, f"{address}/ready says {answer.status_code}", "see the inbox finding")


def check_cvat(cvat: CvatClient, declare: Callable[[], Declared], surveys: Sequence[SurveyConfig]) -> Iterator[Finding]:
    """CVAT answers, lets us in, holds what is declared, and reaches the receiver."""
    try:
        about = cvat.check()
    except (CvatRefused, CvatUnavailable) as error:
        fix = "" if isinstance(error, CvatRefused) else "is it up, and is REEFLINE_CVAT_URL its address from here?"
        yield Finding("CVAT", Level.FAIL, str(error), fix)
        return
    found = compatibility(str(about.get("version", "")))
    sdk = version("cvat-sdk")
    level = Level.OK if found.supported else Level.FAIL
    yield Finding("CVAT", level, f"{about.get('name')} {found.version} at {cvat.url}, spoken to by cvat-sdk {sdk}")
    for remark in found.remarks:
        yield Finding("CVAT version", Level.OK if found.supported else Level.FAIL, remark)
    try:
        if surveys:
            yield from _drift(cvat, declare())
            yield from _webhooks(cvat, declare())
    except (CvatRefused, CvatUnavailable) as error:
        yield Finding("CVAT rights", Level.FAIL, str(error), "give the service account the right, or use another one")


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
    """CVAT sends a ping now and tells how it was answered."""
    for webhook in cvat.webhooks(declared.target_url.removesuffix("/cvat/webhook")):
        delivery = cvat.session.request("POST", f"/api/webhooks/{webhook['id']}/ping")
        status = int(delivery["status_code"] or 0)
        what = f"webhook {webhook['id']}"
        if status == httpx.codes.OK:
            yield Finding(what, Level.OK, f"CVAT reaches {webhook['target_url']}")
        else:
            fix = ANSWERS.get(status, "look at the webhook's deliveries in CVAT")
            yield Finding(what, Level.FAIL, f"a ping to {webhook['target_url']} was answered with {status}", fix)
