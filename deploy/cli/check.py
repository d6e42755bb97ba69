"""Checks of a Compose installation before it is started; each problem with what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.cli import compose_model, cvat_files, envfile
from deploy.cli.init import modes
from deploy.cli.plan import PROFILES

MOVING = ("latest", "edge", "nightly", "main", "master", "dev")


def problems(folder: Path) -> list[str]:
    """Everything that is wrong with an installation's files; empty when they can be started."""
    env = envfile.read(folder / ".env")
    if not env:
        return [f"{folder / '.env'} is missing: reefline deploy init"]
    found = modes(folder)
    found += [
        f"cvat/{name} is not as it was fetched: reefline deploy fetch-cvat" for name in cvat_files.changed_files(folder)
    ]
    profiles = [name for name in env.get("COMPOSE_PROFILES", "").split(",") if name]
    found += [f"COMPOSE_PROFILES: no profile {name!r}" for name in profiles if name not in PROFILES]
    try:
        model = compose_model.merged(folder / name for name in env.get("COMPOSE_FILE", "compose.yaml").split(":"))
        services = compose_model.active(model, profiles)
        filled = {**model, "services": compose_model.interpolated(services, env)}
        filled["networks"] = compose_model.interpolated(model.get("networks", {}), env)
    except compose_model.ComposeError as error:
        hint = "; reefline deploy fetch-cvat" if "cvat/" in str(error) else ""
        return [*found, f"{error}{hint}"]
    found += list(model_problems(filled, folder))
    found += _context_problems(env, filled)
    return found + _asked_of_docker(folder)


def model_problems(model: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """What is wrong with a merged model of active services."""
    services = model["services"]
    for name, service in services.items():
        image = str(service.get("image", ""))
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if not tag or tag in MOVING:
            yield f"{name}: image {image!r} is not pinned to a version"
        for other, how in (service.get("depends_on") or {}).items():
            needed = not isinstance(how, dict) or how.get("required", True)
            if needed and other not in services:
                yield f"{name} depends on {other}, which is not among the services in force"
        for network in service.get("networks") or {}:
            if network not in model.get("networks", {}):
                yield f"{name}: network {network} is not declared"
        for volume in service.get("volumes") or ():
            source = volume.get("source", "") if isinstance(volume, dict) else str(volume).partition(":")[0]
            if source.startswith("./") or source.startswith("../"):
                if not (folder / source).exists():
                    yield f"{name}: {source} does not exist"
            elif source and not source.startswith("/") and source not in model.get("volumes", {}):
                yield f"{name}: volume {source} is not declared"
        if "healthcheck" not in service and name in OWN:
            yield f"{name}: no health check"


OWN = frozenset(
    {"postgres", "code", "daemon", "webserver", "receiver", "gateway", "docker-runs", "docker-stop", "clickhouse",
     "vector", "grafana", "watch"}
)  # fmt: skip
"""Services of ours that go on running."""


def _context_problems(env: Mapping[str, str], model: Mapping[str, Any]) -> list[str]:
    """Whether the daemon holds every variable that it is to hand to runs, and runs get no Docker socket."""
    daemon = model["services"].get("daemon")
    if daemon is None:
        return []
    try:
        context = json.loads(env.get("DEPLOY_RUN_CONTEXT", ""))["docker"]
    except (ValueError, KeyError):
        return ["DEPLOY_RUN_CONTEXT is not what 'reefline deploy init' writes: run it with --update"]
    missing = [n for n in context["env_vars"] if "=" not in n and n not in daemon["environment"]]
    more = {name for name in missing if name.startswith("REEFLINE_")}
    found = [
        f"runs want {name}, which the daemon does not have: reefline deploy init --update"
        for name in missing
        if name not in more
    ]
    if any("docker.sock" in volume for volume in context["container_kwargs"]["volumes"]):
        found.append("DEPLOY_RUN_CONTEXT gives runs Docker's socket, which is the whole host")
    return found


def _asked_of_docker(folder: Path) -> list[str]:
    """What ``docker compose config`` says, where it is installed."""
    docker = shutil.which("docker")
    if not docker:
        return []
    has = subprocess.run([docker, "compose", "version"], capture_output=True, check=False, timeout=30)  # noqa: S603
    if has.returncode != 0:
        return []
    asked = subprocess.run(  # noqa: S603 - docker's own command
        [docker, "compose", "config", "--quiet"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    return [f"docker compose config: {line}" for line in asked.stderr.splitlines() if line] if asked.returncode else []
