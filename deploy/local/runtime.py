"""The embedded runtime: an installation on one machine and the settings its processes (``services``) run with.

Everything lives in one folder (``REEFLINE_HOME``): Dagster's storage and the inbox where they are SQLite, the object
store, chDB, the sandbox's data, logs and the generated ``reefline.env`` (secrets and ports, for its owner only).
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from dotenv import dotenv_values
from pydantic import SecretStr

from deploy.local.dagster_home import make_storage, write_config
from deploy.local.loopback import HOST, free_port
from deploy.local.supervisor import is_running
from orchestration.instance import URL_VARIABLE
from resources.object_store import open_store
from resources.settings import PREFIX, Settings, load_settings, with_driver
from resources.version_record import check_in

RESTORED = "restored.env"
"""Settings that came back with a backup. They are in force where nobody has set anything else."""
PORT_NAMES = ("sandbox", "receiver", "sink", "code", "web")


@dataclass(frozen=True, slots=True)
class Embedded:
    """An installation in one folder.

    Attributes:
        home: the folder.
        env: ``REEFLINE_*`` and ``DAGSTER_HOME`` for every process of it.
        ports: by service name.
        sandbox: whether the CVAT sandbox stands in for CVAT.
        receiver_host: address on which the webhook receiver listens.
    """

    home: Path
    env: dict[str, str]
    ports: dict[str, int]
    sandbox: bool
    receiver_host: str = HOST

    @property
    def settings(self) -> Settings:
        """The settings its processes run with."""
        return load_settings(self.home / "reefline.env", self.env)

    @property
    def web_url(self) -> str:
        """Address of the Dagster UI."""
        return f"http://{HOST}:{self.ports['web']}"

    @property
    def sandbox_url(self) -> str:
        """Address of the CVAT sandbox."""
        return f"http://{HOST}:{self.ports['sandbox']}"


def prepare(
    home: Path, surveys_dir: Path, extra: Mapping[str, str] | None = None, given: Settings | None = None
) -> Embedded:
    """Make (or take up again) an installation in ``home``.

    Secrets and ports are decided once and kept, so that webhooks registered earlier still arrive. A port that
    somebody else has taken meanwhile is replaced; ``reefline cvat apply`` then moves the webhooks.

    Args:
        home: the installation's folder.
        surveys_dir: folder of the survey files.
        extra: settings that differ, by the names of their variables.
        given: what the user has set; without it an installation of its own, that no ``.env`` reaches into.

    Raises:
        RuntimeProblem: Dagster's database does not answer.
        WrongVersionError: the software is older than the installation, or an upgrade of it has broken off.
    """
    home = home.resolve()
    restored = _read_env(home / RESTORED)
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    known = {**restored, **_read_env(home / "reefline.env")}
    ports = _ports(home / "ports.json")
    chosen = {**restored, **(as_environment(given, given.model_fields_set) if given else {}), **(extra or {})}
    receiver_host = HOST
    if chosen.get("REEFLINE_RECEIVER_URL"):
        receiver_host, ports["receiver"] = _receiver_address(chosen["REEFLINE_RECEIVER_URL"], ports["receiver"])
    env = {
        # All of them: a process must not find another value in some .env.
        **as_environment(Settings.model_construct(), Settings.model_fields),
        "REEFLINE_RECEIVER_URL": f"http://{HOST}:{ports['receiver']}",
        "REEFLINE_WEBHOOK_SECRET": known.get("REEFLINE_WEBHOOK_SECRET") or secrets.token_urlsafe(32),
        **{name: value for name, value in chosen.items() if value},
        "REEFLINE_HOME": str(home),
        "REEFLINE_SURVEYS_DIR": str(surveys_dir.resolve()),
        "DAGSTER_HOME": str(home / "dagster"),
    }
    sandbox = not chosen.get("REEFLINE_CVAT_URL")
    if sandbox:
        env["REEFLINE_CVAT_URL"] = f"http://{HOST}:{ports['sandbox']}"
        env["REEFLINE_CVAT_USERNAME"] = "reefline"
        env["REEFLINE_CVAT_PASSWORD"] = known.get("REEFLINE_CVAT_PASSWORD") or secrets.token_urlsafe(16)
    env[URL_VARIABLE] = with_driver(env[URL_VARIABLE])
    check_in(open_store(env["REEFLINE_STORE_URL"] or (home / "store").as_uri()), first=True)
    write_env(home / "reefline.env", env)
    write_config(home / "dagster", postgres=bool(env[URL_VARIABLE]))
    workspace = {"load_from": [{"grpc_server": {"host": HOST, "port": ports["code"], "location_name": "reefline"}}]}
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")
    make_storage(home / "dagster", env)
    return Embedded(home, env, ports, sandbox, receiver_host)


def as_environment(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Settings as the variables that would have set them."""
    values = {name: getattr(settings, name) for name in names}
    plain = {n: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for n, v in values.items()}
    return {PREFIX + name.upper(): value for name, value in plain.items()}


def _receiver_address(url: str, port: int) -> tuple[str, int]:
    """Where the receiver listens so that CVAT finds it at ``url``; without a port in it, a proxy stands before it."""
    parts = urlsplit(url)
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return (HOST if here or parts.port is None else "0.0.0.0"), parts.port or port  # noqa: S104 - CVAT is elsewhere


def _ports(path: Path) -> dict[str, int]:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # The ports of an installation that runs are taken by itself.
    keep = is_running(path.parent)
    usable = {name for name in known if keep or _is_free(known[name])}
    ports = {name: known[name] if name in usable else free_port() for name in PORT_NAMES}
    path.write_text(json.dumps(ports), encoding="utf-8")
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((HOST, port)) != 0


def _read_env(path: Path) -> dict[str, str]:
    """What an env file sets, as python-dotenv and systemd read it."""
    found = dotenv_values(path, interpolate=False) if path.exists() else {}
    return {name: value or "" for name, value in found.items()}


def write_env(path: Path, env: Mapping[str, str]) -> None:
    """Write an env file that only its owner can read."""
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(env.items()))
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _quoted(value: str) -> str:
    """A value that python-dotenv and systemd read alike."""
    if not re.search(r"[\s'\"\\#$`]", value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
