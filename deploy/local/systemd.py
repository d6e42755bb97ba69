"""systemd units of an installation: what ``reefline up`` runs, kept running by the machine itself.

One unit per process and ``reefline.target`` that holds them together. Secrets stay in env files that only the owner
can read; no unit names one. Each process holds the folder's lock with the others (``flock``), so that ``reefline up``,
``restore`` and ``upgrade`` know that the installation runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from deploy.local.runtime import Embedded, write_env
from deploy.local.supervisor import Service

TARGET = "reefline.target"
AFTER = {"code": ("receiver",), "daemon": ("code",), "watch": ("daemon",), "web": ("code",)}
"""What each process is started after."""
NEEDS_DEVICES = ("code",)
"""Runs are its children, and use graphics cards."""
LOCK_S = 5
"""Seconds to wait for the folder's lock, which others take for a moment to see whether it is free."""

UNIT = """\
[Unit]
Description=reefline: {name}
PartOf={target}
After=network-online.target{after}
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
User={user}
EnvironmentFile={env}{extra}
WorkingDirectory={folder}
ExecStart={command}
Restart=always
RestartSec=3
KillMode=mixed
TimeoutStopSec=30
SuccessExitStatus=143
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
PrivateDevices={no_devices}
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
ReadWritePaths={writable}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
StandardOutput=journal

[Install]
WantedBy={target}
"""
TARGET_UNIT = """\
[Unit]
Description=reefline
Wants={units}

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its name and its text."""

    name: str
    text: str


def units(installation: Embedded, wanted: Sequence[Service], user: str) -> list[Unit]:
    """The unit files of an installation.

    Env files that a process needs beside ``reefline.env`` are written, and folders outside the installation's that it
    writes to are made: systemd starts no process that may write to a folder which is not there.
    """
    made = [Unit(f"reefline-{service.name}.service", _unit(installation, service, user)) for service in wanted]
    return [*made, Unit(TARGET, TARGET_UNIT.format(units=" ".join(unit.name for unit in made)))]


def _unit(installation: Embedded, service: Service, user: str) -> str:
    home = installation.home
    more = {name: value for name, value in service.env.items() if installation.env.get(name) != value}
    if more:
        write_env(home / f"{service.name}.env", more)
    first = AFTER.get(service.name, ("sandbox",) if installation.sandbox and service.name != "sandbox" else ())
    hold: list[str | Path] = [
        shutil.which("flock") or "/usr/bin/flock",
        "--shared",
        "--timeout",
        str(LOCK_S),
        "--no-fork",
        home / "lock",
    ]
    return UNIT.format(
        name=service.name,
        target=TARGET,
        after="".join(f" reefline-{name}.service" for name in first),
        user=user,
        env=_path(home / "reefline.env"),
        extra=f"\nEnvironmentFile={_path(home / f'{service.name}.env')}" if more else "",
        folder=_path(home),
        command=" ".join(_word(part) for part in (*hold, *service.command)),
        no_devices="no" if service.name in NEEDS_DEVICES else "yes",
        writable=" ".join(_word(folder) for folder in (home, *_outside(installation))),
    )


def _outside(installation: Embedded) -> list[Path]:
    """Folders beside the installation's own that its processes write to, where they lie on this machine."""
    settings, home = installation.settings, installation.home
    found = []
    if settings.store.startswith("file:"):
        found.append(Path(unquote(urlsplit(settings.store).path)))
    if settings.inbox.startswith("sqlite"):
        found.append(Path(str(sa.engine.make_url(settings.inbox).database)).parent)
    if settings.clickhouse.startswith("chdb:"):
        found.append(Path(urlsplit(settings.clickhouse).path).parent)  # its lock lies beside it
    outside = sorted({folder.resolve() for folder in found if not folder.resolve().is_relative_to(home)})
    for folder in outside:
        folder.mkdir(parents=True, exist_ok=True)
    return outside


def _path(path: Path) -> str:
    """A path that is the whole value of a setting: quotes would belong to it, percent signs mean something."""
    return str(path).replace("%", "%%")


def _word(text: str | Path) -> str:
    """A word of a list or of a command: there spaces, quotes, backslashes and dollar signs mean something, too."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if " " in escaped or "\\" in escaped else escaped
