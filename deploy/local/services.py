"""The processes of an installation on one machine, in the order in which they start."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.loopback import HOST
from deploy.local.runtime import Embedded
from deploy.local.supervisor import Service

LOG_FORMATS = {"text": "colored", "json": "json"}
"""Our names of log formats, and Dagster's."""


def services(installation: Embedded, *, web: bool, watch: bool = True) -> list[Service]:
    """The processes of an installation.

    Args:
        installation: whose.
        web: with the Dagster UI.
        watch: with the process that looks after the others from outside Dagster.
    """
    ports = installation.ports
    made = [_sandbox(installation)] if installation.sandbox else []
    made.append(
        Service(
            "receiver",
            [sys.executable, "-m", "sensors.receiver", "--host", installation.receiver_host,
             "--port", str(ports["receiver"])],
            {**installation.env, "REEFLINE_INBOX_URL": installation.settings.inbox},
            ready_url=f"http://{HOST}:{ports['receiver']}/ready",
        )
    )  # fmt: skip
    if installation.settings.events_secret.get_secret_value():
        made.append(_sink(installation))
    code = ["api", "grpc", "-m", "orchestration.definitions", "-h", HOST, "-p", str(ports["code"])]
    made.append(_dagster(installation, "code", ["-m", "dagster", *code], ready_port=ports["code"]))
    workspace = ["-w", str(installation.home / "workspace.yaml")]
    daemon = Service("daemon", [script("dagster-daemon"), "run", *workspace, *_logs(installation)], installation.env)
    made.append(daemon)
    if watch:
        page = [f"{installation.web_url}/server_info"] if web else []
        made.append(Service("watch", [sys.executable, "-m", "deploy.local.watch", *page], installation.env))
    if web:
        ui = ["-m", "dagster_webserver", *workspace, "-h", HOST, "-p", str(ports["web"])]
        made.append(_dagster(installation, "web", ui, ready_url=f"{installation.web_url}/server_info"))
    return made


def _sandbox(installation: Embedded) -> Service:
    env: Mapping[str, str] = installation.env
    return Service(
        "sandbox",
        [sys.executable, "-m", "deploy.local.sandbox", "--data", str(installation.home / "sandbox"),
         "--port", str(installation.ports["sandbox"]), "--user", env["REEFLINE_CVAT_USERNAME"]],
        {**env, "REEFLINE_SANDBOX_PASSWORD": env["REEFLINE_CVAT_PASSWORD"]},
        ready_url=f"{installation.sandbox_url}/api/server/about",
    )  # fmt: skip


def _sink(installation: Embedded) -> Service:
    """Only where CVAT is given the secret: without the sink, events are pulled."""
    port = installation.ports["sink"]
    command = [sys.executable, "-m", "sensors.sink", "--host", installation.receiver_host, "--port", str(port)]
    return Service("sink", command, installation.env, ready_url=f"http://{HOST}:{port}/health")


def _dagster(
    installation: Embedded,
    name: str,
    arguments: list[str],
    *,
    ready_url: str | None = None,
    ready_port: int | None = None,
) -> Service:
    command = [sys.executable, *arguments, *_logs(installation)]
    return Service(name, command, installation.env, ready_url=ready_url, ready_port=ready_port)


def _logs(installation: Embedded) -> list[str]:
    return ["--log-format", LOG_FORMATS[installation.settings.log_format]]


def script(name: str) -> str:
    """Path of a console script, that of this environment first."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name
