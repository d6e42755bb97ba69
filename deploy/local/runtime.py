"""The embedded runtime: which processes make an installation on one machine, and with which settings.

Everything lives in one folder (``REEFLINE_HOME``): Dagster's SQLite storage, the inbox, the object store, chDB, the
sandbox's data, logs and the generated ``reefline.env`` (secrets and ports, readable by its owner only).
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import yaml
from pydantic import SecretStr

from deploy.local.supervisor import Service
from resources.settings import PREFIX, Settings, load_settings

HOST = "127.0.0.1"
PORT_NAMES = ("sandbox", "receiver", "code", "web")


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
    """
    home = home.resolve()
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    known = _read_env(home / "reefline.env")
    ports = _ports(home / "ports.json")
    chosen = {**(as_environment(given, given.model_fields_set) if given else {}), **(extra or {})}
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
    _write_env(home / "reefline.env", env)
    shutil.copyfile(_dagster_yaml(), home / "dagster" / "dagster.yaml")
    workspace = {"load_from": [{"grpc_server": {"host": HOST, "port": ports["code"], "location_name": "reefline"}}]}
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")
    _make_dagster_storage(home / "dagster")
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


def _make_dagster_storage(dagster_home: Path) -> None:
    """Make Dagster's databases once, before several processes start and each finds none (SQLite has no lock for it)."""
    if (dagster_home / "schedules").exists():
        return
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        instance.get_runs_count()
        instance.fetch_materializations(dg.AssetKey(["images", "raw"]), limit=1)
        instance.all_instigator_state()


def services(installation: Embedded, *, web: bool) -> list[Service]:
    """The processes of an installation, in the order in which they start."""
    env, ports, home = installation.env, installation.ports, installation.home
    python = sys.executable
    made: list[Service] = []
    if installation.sandbox:
        made.append(
            Service(
                "sandbox",
                [python, "-m", "deploy.local.sandbox", "--data", str(home / "sandbox"), "--port", str(ports["sandbox"]),
                 "--user", env["REEFLINE_CVAT_USERNAME"]],
                {**env, "REEFLINE_SANDBOX_PASSWORD": env["REEFLINE_CVAT_PASSWORD"]},
                ready_url=f"http://{HOST}:{ports['sandbox']}/api/server/about",
            )
        )  # fmt: skip
    made.append(
        Service(
            "receiver",
            [python, "-m", "sensors.receiver", "--host", installation.receiver_host, "--port", str(ports["receiver"])],
            {**env, "REEFLINE_INBOX_URL": installation.settings.inbox},
            ready_url=f"http://{HOST}:{ports['receiver']}/ready",
        )
    )
    made.append(
        Service(
            "code",
            [
                python,
                "-m",
                "dagster",
                "api",
                "grpc",
                "-m",
                "orchestration.definitions",
                "-h",
                HOST,
                "-p",
                str(ports["code"]),
            ],
            env,
            ready_port=ports["code"],
        )
    )
    workspace = str(home / "workspace.yaml")
    made.append(Service("daemon", [script("dagster-daemon"), "run", "-w", workspace], env))
    if web:
        made.append(
            Service(
                "web",
                [python, "-m", "dagster_webserver", "-w", workspace, "-h", HOST, "-p", str(ports["web"])],
                env,
                ready_url=f"http://{HOST}:{ports['web']}/server_info",
            )
        )
    return made


def script(name: str) -> str:
    """Path of a console script, that of this environment first."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _ports(path: Path) -> dict[str, int]:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ports = {name: known[name] if name in known and _is_free(known[name]) else free_port() for name in PORT_NAMES}
    path.write_text(json.dumps(ports), encoding="utf-8")
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((HOST, port)) != 0


def _dagster_yaml() -> Path:
    path = Path(__file__).resolve().parents[2] / "dagster.yaml"
    return path if path.is_file() else Path(__file__).with_name("dagster.yaml")


def _read_env(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    return {name: value for name, _, value in lines}


def _write_env(path: Path, env: Mapping[str, str]) -> None:
    text = "".join(f"{name}={value}\n" for name, value in sorted(env.items()))
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(text, encoding="utf-8")
