"""What CVAT should hold, as declared by survey files, and what has to be done so that it does.

Everything is found by name. Comparing reads only; each difference knows its own remedy, which may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from labels.formats.cvat.compare import LabelDifference, Remedy, label_differences
from resources.cvat.client import CvatClient
from resources.cvat.errors import CvatRefused

WEBHOOK = "reefline"
"""Description of our webhooks: how they are told from other people's."""


class Sign(StrEnum):
    """What a difference means, as people see it in a plan."""

    CREATE = "+"
    CHANGE = "~"
    DELETE = "-"
    KEEP = "?"
    """Not declared, and left alone."""
    REFUSE = "!"
    """Cannot be done without losing annotations."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as declared. ``act`` mends it, ``None`` where nothing may be done."""

    sign: Sign
    where: str
    text: str
    act: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class DeclaredProject:
    """A project that should exist. ``guide``: markdown for annotators."""

    name: str
    labels: Sequence[Mapping[str, Any]]
    guide: str
    organization: str | None = None


@dataclass(frozen=True, slots=True)
class DeclaredStorage:
    """An S3 bucket that CVAT should read pictures from by itself."""

    name: str
    bucket: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: str | None = None
    region: str | None = None

    def spec(self) -> dict[str, Any]:
        """Body for CVAT's cloud storage."""
        facts = {"region": self.region, "endpoint_url": self.endpoint}
        return {
            "provider_type": "AWS_S3_BUCKET",
            "resource": self.bucket,
            "display_name": self.name,
            "credentials_type": "KEY_SECRET_KEY_PAIR",
            "key": self.key,
            "secret_key": self.secret,
            "specific_attributes": "&".join(f"{name}={value}" for name, value in facts.items() if value),
            "description": "The pictures of reefline; made by 'reefline cvat apply'.",
        }


@dataclass(frozen=True, slots=True)
class Declared:
    """All that should be in CVAT. ``secret`` signs the webhooks; it can be written, never read back."""

    projects: Sequence[DeclaredProject]
    target_url: str
    secret: str = field(repr=False)
    events: Sequence[str] = ()
    storage: DeclaredStorage | None = None


def differences(cvat: CvatClient, declared: Declared, *, prune: bool = False) -> list[Difference]:
    """What differs, in the order in which it has to be mended.

    Args:
        cvat: where to look.
        declared: what should be there.
        prune: delete labels that no survey file asks for, unless they carry annotations.
    """
    found: list[Difference] = []
    for slug in sorted({p.organization for p in declared.projects if p.organization}):
        if not any(o["slug"] == slug for o in cvat.session.listed("/api/organizations", search=slug)):
            body = {"slug": slug, "name": slug}
            act = _request(cvat, "POST", "/api/organizations", body)
            found.append(Difference(Sign.CREATE, f"organization {slug!r}", "the organization", act))
    if declared.storage:
        found += _storage(cvat, declared.storage)
    for project in declared.projects:
        found += _project(cvat, declared, project, prune)
    return found


def write_secrets(cvat: CvatClient, declared: Declared) -> int:
    """Write the secret into every webhook of ours; CVAT never tells which one it has. How many there are."""
    written = 0
    for project in declared.projects:
        number = cvat.find_project(project.name, project.organization)
        for webhook in _webhooks(cvat, number, declared.target_url) if number else ():
            cvat.session.request("PATCH", f"/api/webhooks/{webhook['id']}", {"secret": declared.secret})
            written += 1
    return written


def _project(cvat: CvatClient, declared: Declared, project: DeclaredProject, prune: bool) -> Iterator[Difference]:
    where = f"project {project.name!r}" + (f" in {project.organization}" if project.organization else "")
    number = cvat.find_project(project.name, project.organization)
    if number is None:
        labels = ", ".join(str(label["name"]) for label in project.labels[:6])
        more = f" and {len(project.labels) - 6} more" if len(project.labels) > 6 else ""
        text = f"the project, with label{'s' * (len(project.labels) > 1)} {labels}{more}"
        act = partial(cvat.create_project, project.name, project.labels, project.organization)
        yield Difference(Sign.CREATE, where, text, act)
    else:
        for label in label_differences(project.labels, cvat.labels(number).values()):
            yield _label(cvat, number, where, project, label, prune)
    yield from _webhook(cvat, declared, project, where, number)
    yield from _guide(cvat, project, where, number)


def _label(
    cvat: CvatClient, number: int, where: str, project: DeclaredProject, label: LabelDifference, prune: bool
) -> Difference:
    path = f"/api/labels/{label.label_id}"
    match label.remedy:
        case Remedy.ADD:
            spec = next(s for s in project.labels if s["name"] == label.name)
            body = {"labels": [dict(spec)]}
            return Difference(Sign.CREATE, where, label.text, _request(cvat, "PATCH", f"/api/projects/{number}", body))
        case Remedy.CHANGE:
            return Difference(Sign.CHANGE, where, label.text, _request(cvat, "PATCH", path, label.patch))
        case Remedy.KEEP if prune:
            used = cvat.uses_of_label(number, label.label_id or 0)
            if used:
                text = f"{label.text}, but carries {used} annotations: it is not deleted"
                return Difference(Sign.REFUSE, where, text)
            return Difference(Sign.DELETE, where, label.text, _request(cvat, "DELETE", path))
        case Remedy.KEEP:
            return Difference(Sign.KEEP, where, f"{label.text} (left alone; --prune deletes it if nothing uses it)")
    return Difference(Sign.REFUSE, where, label.text)


def _webhook(
    cvat: CvatClient, declared: Declared, project: DeclaredProject, where: str, number: int | None
) -> Iterator[Difference]:
    wanted: dict[str, Any] = {
        "target_url": declared.target_url,
        "events": sorted(declared.events),
        "is_active": True,
        "enable_ssl": declared.target_url.startswith("https"),
    }
    there = _webhooks(cvat, number, declared.target_url) if number else []
    here = [w for w in there if w["target_url"] == declared.target_url]
    if not there:
        text = f"webhook to {declared.target_url} ({', '.join(wanted['events'])})"
        yield Difference(Sign.CREATE, where, text, lambda: _make_webhook(cvat, declared, project, wanted))
        return
    ours, *doubled = here or there[-1:]
    now = {name: sorted(ours[name]) if name == "events" else ours[name] for name in wanted}
    changed = {name: value for name, value in wanted.items() if now[name] != value}
    if changed:
        text = "; ".join(f"webhook {name}: {now[name]} -> {value}" for name, value in changed.items())
        body = {**changed, "secret": declared.secret}
        yield Difference(Sign.CHANGE, where, text, _request(cvat, "PATCH", f"/api/webhooks/{ours['id']}", body))
    for webhook in doubled:
        text = f"a second webhook to {webhook['target_url']}: every event would come twice"
        yield Difference(Sign.DELETE, where, text, _request(cvat, "DELETE", f"/api/webhooks/{webhook['id']}"))
    for webhook in there if here else there[:-1]:
        if webhook not in here:
            text = f"webhook to {webhook['target_url']}, of another installation of reefline (left alone)"
            yield Difference(Sign.KEEP, where, text)


def _webhooks(cvat: CvatClient, number: int, target_url: str) -> list[dict[str, Any]]:
    """Our webhooks of a project, by id: by their description, or because they lead here already."""
    listed = cvat.session.listed("/api/webhooks", project_id=number)
    ours = [w for w in listed if w["description"] == WEBHOOK or w["target_url"] == target_url]
    return sorted(ours, key=lambda w: w["id"])


def _make_webhook(cvat: CvatClient, declared: Declared, project: DeclaredProject, wanted: Mapping[str, Any]) -> None:
    number = cvat.need_project(project.name, project.organization)
    body = {**wanted, "type": "project", "content_type": "application/json", "description": WEBHOOK}
    body |= {"secret": declared.secret, "project_id": number}
    cvat.session.request("POST", "/api/webhooks", body, org=project.organization)


def _guide(cvat: CvatClient, project: DeclaredProject, where: str, number: int | None) -> Iterator[Difference]:
    guide_id = cvat.session.request("GET", f"/api/projects/{number}").get("guide_id") if number else None
    if guide_id is None:
        text = "annotation guide"
        yield Difference(Sign.CREATE, where, text, lambda: _make_guide(cvat, project))
        return
    there = cvat.session.request("GET", f"/api/guides/{guide_id}")
    # Browsers and editors change line ends and the last empty line.
    if there["markdown"].split() != project.guide.split():
        act = _request(cvat, "PATCH", f"/api/guides/{guide_id}", {"markdown": project.guide})
        yield Difference(Sign.CHANGE, where, "annotation guide: its text differs", act)


def _make_guide(cvat: CvatClient, project: DeclaredProject) -> None:
    number = cvat.need_project(project.name, project.organization)
    body = {"project_id": number, "markdown": project.guide}
    try:
        cvat.session.request("POST", "/api/guides", body, org=project.organization)
    except CvatRefused as error:
        # A guide may have come into being since the plan was made.
        if error.status != 400 or not cvat.session.request("GET", f"/api/projects/{number}").get("guide_id"):
            raise


def _storage(cvat: CvatClient, storage: DeclaredStorage) -> Iterator[Difference]:
    spec = storage.spec()
    shown = ("resource", "specific_attributes", "provider_type")
    known = cvat.find_storage(storage.name)
    where = f"cloud storage {storage.name!r}"
    if known is None:
        text = f"bucket {storage.bucket}" + (f" at {storage.endpoint}" if storage.endpoint else "")
        yield Difference(Sign.CREATE, where, text, _request(cvat, "POST", "/api/cloudstorages", spec))
        return
    changed = {name: spec[name] for name in shown if known.get(name) != spec[name]}
    if changed:
        text = "; ".join(f"{name}: {known.get(name)} -> {value}" for name, value in changed.items())
        yield Difference(Sign.CHANGE, where, text, _request(cvat, "PATCH", f"/api/cloudstorages/{known['id']}", spec))


def _request(cvat: CvatClient, method: str, path: str, body: Mapping[str, Any] | None = None) -> Callable[[], object]:
    return lambda: cvat.session.request(method, path, dict(body) if body is not None else None)
