"""CVAT's own Compose files at one version: fetched, remembered by their hashes, and fitted to run beside reefline.

Nothing of CVAT is copied into this repository and no image of it is changed. Upstream's files stay as they are; files
written from them say what differs here (``cvat/reefline.yaml`` and its neighbours).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import yaml

from deploy.cli import compose_model
from deploy.cli.cvat_overlays import SERVER_IMAGE, overlays

URL = "https://codeload.github.com/cvat-ai/cvat/tar.gz/refs/tags/{version}"
WANTED = ("docker-compose.yml", "components/serverless/docker-compose.serverless.yml", "components/analytics/")
MAIN, SERVERLESS = WANTED[0], WANTED[1]
LOCK = "cvat.lock.json"
SIZE_LIMIT = 500 * 1024 * 1024
"""Bytes of the archive; CVAT's sources are about 60 MB."""
ANALYTICS = ("cvat_clickhouse", "cvat_vector", "cvat_grafana")
"""Upstream's own analytics: a password that everybody knows, a buffer in memory, a Grafana open to all."""
CALLS_OUT = ("cvat_server", "cvat_worker_webhooks")
"""Who sends webhooks: the worker, and the server for a ping."""


class CvatFilesError(RuntimeError):
    """CVAT's files cannot be used; the message says why and what to do."""


def fetch(folder: Path, version: str, archive: bytes | None = None) -> list[str]:
    """Put CVAT's files of a version into ``folder/cvat``; their names.

    The first fetch remembers the hash of every file in ``cvat/cvat.lock.json``. A later fetch of the same version must
    bring the same bytes.

    Raises:
        CvatFilesError: no such version, no network, or files that differ from those remembered.
    """
    files = _extract(archive if archive is not None else _download(version))
    if MAIN not in files:
        raise CvatFilesError(f"the archive of CVAT {version} has no {MAIN}")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    target = folder / "cvat"
    _compare(target / LOCK, version, digests)
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (target / LOCK).write_text(json.dumps({"version": version, "sha256": digests}, indent=2) + "\n", encoding="utf-8")
    write_fitting(target)
    return sorted(files)


def _download(version: str) -> bytes:
    try:
        answer = httpx.get(URL.format(version=version), timeout=60, follow_redirects=True)
    except httpx.HTTPError as error:
        raise CvatFilesError(f"CVAT's files cannot be fetched: {error}; give --archive with a file you have") from error
    if answer.status_code != httpx.codes.OK:
        raise CvatFilesError(f"{answer.url} says {answer.status_code}: is {version!r} a tag of CVAT, like v2.80.0?")
    return answer.content


def _extract(archive: bytes) -> dict[str, bytes]:
    if len(archive) > SIZE_LIMIT:
        raise CvatFilesError(f"the archive has {len(archive)} bytes, more than any CVAT")
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                name = PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix()
                if member.isfile() and ".." not in name and any(name == w or name.startswith(w) for w in WANTED):
                    file = tar.extractfile(member)
                    found[name] = file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CvatFilesError(f"the archive is damaged: {error}") from error
    return found


def _compare(lock: Path, version: str, digests: Mapping[str, str]) -> None:
    if not lock.exists():
        return
    known = json.loads(lock.read_text(encoding="utf-8"))
    if known["version"] != version:
        return
    changed = sorted(
        name for name in digests.keys() | known["sha256"].keys() if digests.get(name) != known["sha256"].get(name)
    )
    if changed:
        raise CvatFilesError(
            f"CVAT {version} came with another {changed[0]} than before ({len(changed)} files differ): a tag does not"
            f" change; if you are sure, remove {lock}"
        )


def changed_files(folder: Path) -> list[str]:
    """Files of CVAT that are no longer as they were fetched; nothing when none were fetched."""
    lock = folder / "cvat" / LOCK
    if not lock.exists():
        return []
    known = json.loads(lock.read_text(encoding="utf-8"))["sha256"]
    paths = {name: folder / "cvat" / name for name in known}
    return [
        name
        for name, path in paths.items()
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != known[name]
    ]


def write_fitting(target: Path) -> None:
    """Write, beside CVAT's files, what differs here (``reefline.yaml``) and what each option changes in them."""
    upstream = compose_model.load(target / MAIN)
    serverless = target / SERVERLESS
    if serverless.is_file():
        # Its services are only among the files in force when the profile nuclio is chosen.
        own = {
            name: s
            for name, s in compose_model.load(serverless)["services"].items()
            if name not in upstream["services"]
        }
        changed = {"services": {name: _nuclio(service) for name, service in own.items()}}
        (target / "nuclio.yaml").write_text(_text(changed), encoding="utf-8")
    (target / "reefline.yaml").write_text(_text(fitting(upstream)), encoding="utf-8")
    for name, change in overlays(upstream).items():
        (target / f"{name}.yaml").write_text(_text(change), encoding="utf-8")


def fitting(upstream: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from upstream's file, service by service.

    - The profile ``cvat``; upstream's analytics never start (``analytics.yaml`` puts reefline's in their place).
    - Ports only where DEPLOY_BIND says, and not Traefik's dashboard.
    - Relative paths lead into ``cvat/``.
    - The server and the webhooks' worker reach the receiver's network.
    - Pictures of the object store are in CVAT's file share, read-only.
    """
    services = {name: _fit(name, service) for name, service in upstream["services"].items()}
    return {
        "name": "reefline",
        "services": services,
        "networks": {"cvat": {"name": "cvat_cvat"}},
    }


def _fit(name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    if name in ANALYTICS:
        return {"profiles": ["upstream-analytics"]}
    made: dict[str, Any] = {"profiles": ["cvat"], "restart": "unless-stopped"}
    if "build" in service:
        made["build"] = compose_model.Reset()
    if "ports" in service:
        made["ports"] = compose_model.Override(["${DEPLOY_BIND:-127.0.0.1}:${DEPLOY_CVAT_PORT:-8080}:8080"])
    if moved := [_moved(volume) for volume in service.get("volumes", ()) if _moved(volume)]:
        made["volumes"] = moved
    if str(service.get("image", "")).startswith(SERVER_IMAGE):
        made["volumes"] = [*made.get("volumes", []), "data:/home/django/share/reefline:ro"]
    depends = service.get("depends_on", {})
    if off := {other: {"condition": "service_started", "required": False} for other in depends if other in ANALYTICS}:
        made["depends_on"] = off
    if name in CALLS_OUT:
        made["networks"] = {"hooks": {}}
    if check := _health(name):
        made["healthcheck"] = check
    return made


def _moved(volume: Any) -> Any:
    """The volume with its source in ``cvat/``, when it is a relative path."""
    if isinstance(volume, dict) and str(volume.get("source", "")).startswith("./"):
        return {**volume, "source": "./cvat/" + volume["source"][2:]}
    if isinstance(volume, str) and volume.startswith("./"):
        return "./cvat/" + volume[2:]
    return None


def _health(name: str) -> dict[str, Any] | None:
    """A check for services whose images have the tool for it; OPA's and the front end's have none."""
    python = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/server/about', timeout=5)"
    tests = {
        "cvat_server": ["CMD", "python3", "-c", python],
        "cvat_db": ["CMD-SHELL", "pg_isready -U root -d cvat"],
        "cvat_redis_inmem": ["CMD", "redis-cli", "ping"],
    }
    if name not in tests:
        return None
    return {"test": tests[name], "interval": "15s", "timeout": "10s", "retries": 8, "start_period": "180s"}


def _nuclio(service: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"profiles": ["nuclio"], "restart": "unless-stopped"}
    if "ports" in service:
        # Its dashboard has no password and Docker's socket: never beyond this machine.
        made["ports"] = compose_model.Override(["127.0.0.1:${DEPLOY_NUCLIO_PORT:-8070}:8070"])
    return made


class _Dumper(yaml.SafeDumper):
    """Writes Compose's two tags."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


_Dumper.add_representer(compose_model.Reset, lambda dumper, _: dumper.represent_scalar("!reset", "null"))
_Dumper.add_representer(
    compose_model.Override, lambda dumper, item: dumper.represent_sequence("!override", item.value, flow_style=True)
)


def _text(data: Mapping[str, Any]) -> str:
    head = "# Written by 'reefline deploy fetch-cvat' from CVAT's own files beside it; not to be changed by hand.\n"
    return head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110)
