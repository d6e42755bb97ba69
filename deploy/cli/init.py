"""Making an installation's ``.env`` and password file, from choices and what is already there."""

from __future__ import annotations

import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from deploy.cli import envfile, network
from deploy.cli.plan import CVAT_VERSION, IMAGE, OVERLAYS, PROFILES, Choices, derived, ports

DOCKER_SOCKET = Path("/var/run/docker.sock")
CVAT_INSIDE = "http://cvat-server:8080"
"""CVAT's own name inside its network; with an underscore Django would refuse the host name."""
CVAT_DATABASE_INSIDE = "postgresql://root@cvat_db:5432/cvat"
"""CVAT's Postgres trusts everybody in its network, which has no way in from outside."""
EXTERNAL_CVAT_DATABASE = "cvat-external-postgres"
CVAT_USER = "reefline"
RECEIVER_IN_SUBNET = 10


class InitProblem(ValueError):
    """An installation cannot be made like this; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What ``reefline deploy init`` was asked for.

    Attributes:
        folder: of compose.yaml.
        profiles: of Compose; empty: those in force, or core, analytics and (without ``cvat_url``) cvat.
        overlays: by name; empty: those in force.
        surveys: folder of the survey files.
        photos: folder of the photos.
        cvat_url: a CVAT outside this installation.
        receiver_url: where that CVAT reaches the receiver; empty: worked out.
        host: public name of this machine, for https.
        update: whether an existing ``.env`` may be changed; its secrets and values are kept.
    """

    folder: Path
    profiles: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    surveys: Path | None = None
    photos: Path | None = None
    cvat_url: str = ""
    receiver_url: str = ""
    host: str = ""
    update: bool = False


@dataclass(slots=True)
class Made:
    """What was made, and what a person still has to do."""

    env: Path
    values: dict[str, str]
    todo: list[str] = field(default_factory=list)


def init(wish: Wish) -> Made:
    """Write ``.env`` and the password file.

    Raises:
        InitProblem: there is one already, or a port is taken.
        PlanError: the choices do not go together.
    """
    file = wish.folder / ".env"
    known = envfile.read(file)
    if known and not wish.update:
        raise InitProblem(f"{file} is there already: --update keeps its passwords and values and changes the rest")
    if not (wish.folder / "compose.yaml").is_file():
        raise InitProblem(f"{wish.folder} has no compose.yaml: give --folder deploy/compose of your checkout")
    choices = _choices(wish, known)
    values = _values(wish, choices, known)
    if not known:
        _check_ports(choices, values)
    made = Made(file, values)
    made.todo += _todo(wish, choices, values)
    envfile.write_private(file, _text(choices, values))
    secrets_folder = wish.folder / "secrets"
    secrets_folder.mkdir(mode=0o700, exist_ok=True)
    # Readable by all, in a folder that is not: the gateway reads it as a user without any capability.
    line = envfile.htpasswd("reefline", values["DEPLOY_DAGSTER_LOGIN_PASSWORD"])
    envfile.write_private(secrets_folder / "dagster.htpasswd", line, 0o644)
    return made


def _choices(wish: Wish, known: Mapping[str, str]) -> Choices:
    listed = [name for name in known.get("COMPOSE_PROFILES", "").split(",") if name]
    usual = ["core", "analytics", *([] if wish.cvat_url else ["cvat"])]
    profiles = frozenset({"core", *(wish.profiles or listed or usual)})
    old = [name for name in known.get("DEPLOY_OVERLAYS", "").split(",") if name]
    surveys = _folder(wish.surveys, known.get("DEPLOY_SURVEYS_DIR"), wish.folder / "surveys")
    photos = _folder(wish.photos, known.get("DEPLOY_PHOTOS_DIR"), wish.folder / "photos")
    more = tuple(sorted(envfile.read(wish.folder / "reefline.env")))
    return Choices(profiles, frozenset(wish.overlays or old), surveys, photos, more)


def _folder(given: Path | None, known: str | None, usual: Path) -> str:
    path = given.expanduser().resolve() if given else Path(known) if known else usual.resolve()
    if "," in str(path) or ":" in str(path):
        raise InitProblem(f"{path}: Docker cannot mount a folder with ',' or ':' in its name")
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def _values(wish: Wish, choices: Choices, known: Mapping[str, str]) -> dict[str, str]:
    """All variables: defaults, then what is known, then what follows from the choices."""
    passwords = envfile.secrets_for(known)
    values = {name: default for name, (default, _) in envfile.DEFAULTS.items()}
    values |= envfile.asked_by(sorted(choices.overlays | choices.profiles), known)
    values |= {"CVAT_VERSION": CVAT_VERSION, "CVAT_HOST": wish.host or "localhost", "DEPLOY_IMAGE": ""}
    values |= _webhooks(wish, choices, known)
    values |= {name: value for name, value in known.items() if name not in ("DEPLOY_IMAGE",)}
    values |= passwords
    if wish.cvat_url:
        values["REEFLINE_CVAT_URL"] = wish.cvat_url
    values |= _cvat_values(choices, values)
    if "analytics" in choices.profiles:
        password = passwords["DEPLOY_CLICKHOUSE_REEFLINE_PASSWORD"]
        values["REEFLINE_CLICKHOUSE_URL"] = f"http://reefline_writer:{password}@clickhouse:8123/reefline"
    admin = passwords["DEPLOY_CLICKHOUSE_ADMIN_PASSWORD"]
    values["DEPLOY_CLICKHOUSE_ADMIN_SHA256"] = envfile.sha256(admin)
    values["DEPLOY_IMAGE"] = IMAGE + ("-cuda" if "gpu" in choices.profiles else "")
    values |= {"DEPLOY_SURVEYS_DIR": choices.surveys, "DEPLOY_PHOTOS_DIR": choices.photos}
    if DOCKER_SOCKET.exists():
        values["DEPLOY_DOCKER_GID"] = str(DOCKER_SOCKET.stat().st_gid)
    return values | derived(choices)


def _cvat_values(choices: Choices, values: Mapping[str, str]) -> dict[str, str]:
    """How reefline speaks to the CVAT of this installation: an account of its own, pictures by the shared volume."""
    if "cvat" not in choices.profiles:
        return {}
    made = {"REEFLINE_CVAT_URL": values.get("REEFLINE_CVAT_URL") or CVAT_INSIDE}
    made["REEFLINE_CVAT_DATABASE_URL"] = _cvat_database(choices, values)
    host = values["CVAT_HOST"]
    plain, gateway = f"http://{host}:{values['DEPLOY_CVAT_PORT']}", f"https://{host}"
    if values["REEFLINE_CVAT_PUBLIC_URL"] in ("", plain, gateway):  # else a person has said it
        made["REEFLINE_CVAT_PUBLIC_URL"] = gateway if "https" in choices.profiles else plain
    if not values.get("REEFLINE_CVAT_TOKEN"):
        made["REEFLINE_CVAT_USERNAME"] = values.get("REEFLINE_CVAT_USERNAME") or CVAT_USER
        made["REEFLINE_CVAT_PASSWORD"] = values.get("REEFLINE_CVAT_PASSWORD") or envfile.new_secret()
    if "analytics" in choices.profiles:
        made["REEFLINE_CVAT_EVENTS_DATABASE"] = "cvat"
    if values["REEFLINE_STORE_URL"].startswith("file:") and values["REEFLINE_CVAT_PICTURES"] == "auto":
        made |= {"REEFLINE_CVAT_PICTURES": "share", "REEFLINE_CVAT_SHARE_PREFIX": "reefline/store/"}
    return made


def _cvat_database(choices: Choices, values: Mapping[str, str]) -> str:
    """Where CVAT's own database is, for backups; empty until a person has said where theirs is."""
    if EXTERNAL_CVAT_DATABASE not in choices.overlays:
        return CVAT_DATABASE_INSIDE
    host, port, name, user, password = (
        quote(values[f"CVAT_POSTGRES_{part}"], safe="") for part in ("HOST", "PORT", "DBNAME", "USER", "PASSWORD")
    )
    return f"postgresql://{user}:{password}@{host}:{port}/{name}" if host else ""


def _webhooks(wish: Wish, choices: Choices, known: Mapping[str, str]) -> dict[str, str]:
    """Where webhooks go: an address of their own inside, else this host as the other CVAT sees it."""
    subnet = known.get("DEPLOY_HOOKS_SUBNET") or str(network.free_subnet())
    receiver = known.get("DEPLOY_RECEIVER_ADDRESS") or str(network.ipaddress.ip_network(subnet)[RECEIVER_IN_SUBNET])
    made = {"DEPLOY_HOOKS_SUBNET": subnet, "DEPLOY_RECEIVER_ADDRESS": receiver}
    if "cvat" in choices.profiles:
        made["REEFLINE_RECEIVER_URL"] = f"http://{receiver}:8765"
        made["SMOKESCREEN_OPTS"] = f"--allow-address={receiver}:8765"
        return made
    if wish.receiver_url:
        # Every delivery is signed, so the receiver may listen on all addresses; the others stay where DEPLOY_BIND says.
        made |= {"REEFLINE_RECEIVER_URL": wish.receiver_url, "DEPLOY_RECEIVER_BIND": "0.0.0.0"}  # noqa: S104
        port = urlsplit(wish.receiver_url).port
        return made | ({"DEPLOY_RECEIVER_PORT": str(port)} if port else {})
    if known.get("REEFLINE_RECEIVER_URL"):
        return made
    address = _address_for(wish.cvat_url or known.get("REEFLINE_CVAT_URL", ""))
    made |= {"REEFLINE_RECEIVER_URL": f"http://{address}:8765", "DEPLOY_RECEIVER_BIND": address}
    return made


def _address_for(cvat_url: str) -> str:
    """This machine as a CVAT outside sees it: the bridge's gateway for one in Docker here, else our own address."""
    host = urlsplit(cvat_url).hostname
    if not host:
        raise InitProblem("without the profile cvat give --cvat-url, the address of your CVAT")
    if host in ("localhost", "127.0.0.1", "::1", socket.gethostname()):
        return network.host_gateway()
    return network.own_address(host)


def _check_ports(choices: Choices, values: Mapping[str, str]) -> None:
    taken = [
        f"{port} ({name})" for name, port in ports(choices.profiles, values).items() if not network.port_is_free(port)
    ]
    if taken:
        raise InitProblem(
            f"already in use on this machine: port {', '.join(taken)}: stop what listens there, or write NAME=PORT into"
            " .env and run 'reefline deploy init --update'"
        )


def _todo(wish: Wish, choices: Choices, values: Mapping[str, str]) -> list[str]:
    asked = envfile.asked_by(sorted(choices.overlays | choices.profiles), values)
    optional = {"AWS_ENDPOINT_URL_S3", "NO_PROXY", "HTTPS_PROXY", "CVAT_REDIS_INMEM_PASSWORD", "LDAP_USER_GROUP"}
    todo = [f"write {name} into .env" for name, value in asked.items() if not value and name not in optional]
    if "external-postgres" in choices.overlays and values["DEPLOY_PG_HOST"] == "postgres":
        todo.append("write DEPLOY_PG_HOST into .env, and run postgres/roles.sql on that server")
    if EXTERNAL_CVAT_DATABASE in choices.overlays and not values["REEFLINE_CVAT_DATABASE_URL"]:
        todo.append("then: reefline deploy init --update, which makes REEFLINE_CVAT_DATABASE_URL of these, for backups")
    if "s3" in choices.overlays and not values["REEFLINE_STORE_URL"].startswith("s3://"):
        todo.append("write REEFLINE_STORE_URL=s3://bucket/prefix into .env")
    if "cvat" in choices.profiles and not (wish.folder / "cvat" / "docker-compose.yml").is_file():
        todo.append("reefline deploy fetch-cvat")
    if "cvat" not in choices.profiles:
        address = urlsplit(values["REEFLINE_RECEIVER_URL"]).netloc
        todo.append(f"where CVAT runs: SMOKESCREEN_OPTS=--allow-address={address} and restart it")
        if not (values["REEFLINE_CVAT_TOKEN"] or values["REEFLINE_CVAT_USERNAME"]):
            todo.append("write REEFLINE_CVAT_TOKEN (or _USERNAME and _PASSWORD) into .env")
    return todo


def _text(choices: Choices, values: Mapping[str, str]) -> str:
    """The env file, in sections; nothing of ``values`` is left out."""
    remarks = {name: text for name, (_, text) in envfile.DEFAULTS.items()} | envfile.SECRETS
    for asked in envfile.OVERLAY_VARIABLES.values():
        remarks |= asked
    made = derived(choices)
    asked_names = envfile.asked_by(sorted(choices.overlays | choices.profiles), {})
    groups: dict[str, dict[str, str]] = {
        "what runs; change it by 'reefline deploy init --update --profile ... --with ...'": {},
        "passwords": {},
        "to be filled in": {},
        "reefline's settings": {},
        "the deployment": {},
    }
    titles = list(groups)
    for name, value in sorted(values.items()):
        if name in made:
            title = titles[0]
        elif name in envfile.SECRETS or (name.endswith("_PASSWORD") and name not in asked_names):
            title = titles[1]
        elif name in asked_names:
            title = titles[2]
        else:
            title = titles[3] if name.startswith("REEFLINE_") else titles[4]
        groups[title][name] = value
    return envfile.render({title: group for title, group in groups.items() if group}, remarks)


def modes(folder: Path) -> list[str]:
    """Files with secrets that others may read."""
    wide = []
    for path, allowed in ((folder / ".env", 0o600), (folder / "secrets", 0o700), (folder / "reefline.env", 0o600)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & ~allowed:
            wide.append(f"{path} may be read by others: chmod {allowed:o} {path}")
    return wide


__all__ = ["CVAT_INSIDE", "OVERLAYS", "PROFILES", "InitProblem", "Made", "Wish", "init", "modes"]
