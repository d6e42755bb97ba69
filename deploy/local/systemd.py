"""systemd units of an installation: what ``reefline up`` runs, kept running by the machine itself.

One unit per process and ``reefline.target`` that holds them together. Secrets stay in env files that only the owner
can read; no unit names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.runtime import Embedded, write_env
from deploy.local.supervisor import Service

TARGET = "reefline.target"
AFTER = {"code": ("receiver",), "daemon": ("code",), "watch": ("daemon",), "web": ("code",)}
"""What each process is started after."""

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
WorkingDirectory={home}
ExecStart={command}
Restart=always
RestartSec=3
KillMode=mixed
TimeoutStopSec=30
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={home}{writable}
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
    """The unit files of an installation; env files that a process needs beside ``reefline.env`` are written."""
    made = [Unit(f"reefline-{service.name}.service", _unit(installation, service, user)) for service in wanted]
    return [*made, Unit(TARGET, TARGET_UNIT.format(units=" ".join(unit.name for unit in made)))]


def _unit(installation: Embedded, service: Service, user: str) -> str:
    home = installation.home
    more = {name: value for name, value in service.env.items() if installation.env.get(name) != value}
    if more:
        write_env(home / f"{service.name}.env", more)
    first = AFTER.get(service.name, ("sandbox",) if installation.sandbox and service.name != "sandbox" else ())
    store = installation.settings.store
    outside = store.startswith("file://") and not store.startswith(home.as_uri())
    return UNIT.format(
        name=service.name,
        target=TARGET,
        after="".join(f" reefline-{name}.service" for name in first),
        user=user,
        env=_word(home / "reefline.env"),
        extra=f"\nEnvironmentFile={_word(home / f'{service.name}.env')}" if more else "",
        home=_word(home),
        command=" ".join(_word(part) for part in service.command),
        writable=f" {_word(store.removeprefix('file://'))}" if outside else "",
    )


def _word(text: str | Path) -> str:
    """A word of a unit file: percent signs and spaces mean something there."""
    escaped = str(text).replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
