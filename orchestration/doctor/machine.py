"""Settings and the machine: disk, ports, clock, graphics card."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import psutil
import sqlalchemy as sa

from orchestration.doctor.findings import SECONDS, Finding, Level, one_line
from orchestration.instance import dagster_database
from resources.bundle import declared_storage, make_notifier
from resources.settings import Settings, SettingsError

GB = 1e9
SECRET_LIMIT = 64
"""Characters; CVAT takes no longer secret for a webhook."""
SKEW_WARN_S, SKEW_FAIL_S = 30.0, 300.0
"""From some minutes on, S3 refuses signatures, and events seem to come before what they tell of."""


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Settings that belong together are there together."""
    problems = list(_wrong_settings(settings))
    yield from problems
    if not problems:
        yield Finding("settings", Level.OK, f"home {settings.home.resolve()}")
    if not make_notifier_safely(settings):
        fix = "set REEFLINE_NOTIFY_URL, or REEFLINE_NOTIFY_EMAIL with REEFLINE_SMTP_URL"
        yield Finding("notices", Level.WARN, "nobody is told when a run fails or a review waits too long", fix)


def make_notifier_safely(settings: Settings) -> bool:
    """Whether notices go anywhere but to the log."""
    try:
        return bool(make_notifier(settings).targets())
    except SettingsError:
        return True  # said already


def _wrong_settings(settings: Settings) -> Iterator[Finding]:
    secret = settings.webhook_secret.get_secret_value()
    if not secret:
        fix = "set REEFLINE_WEBHOOK_SECRET to a random text, then reefline cvat apply"
        yield Finding("settings", Level.FAIL, "no webhook secret: the receiver refuses every delivery", fix)
    if len(secret) > SECRET_LIMIT:
        fix = f"choose one of at most {SECRET_LIMIT} characters, then reefline cvat apply"
        yield Finding("settings", Level.FAIL, f"REEFLINE_WEBHOOK_SECRET has {len(secret)} characters", fix)
    if not settings.cvat_url:
        fix = "set REEFLINE_CVAT_URL and REEFLINE_CVAT_TOKEN; or try 'reefline up', which brings a sandbox"
        yield Finding("settings", Level.FAIL, "no CVAT is configured", fix)
    for make in (make_notifier, declared_storage):
        try:
            make(settings)
        except SettingsError as error:
            yield Finding("settings", Level.FAIL, str(error), "correct the variable")
    for name in ("receiver_url", "cvat_url"):
        parts = urlsplit(getattr(settings, name))
        local = parts.hostname in ("127.0.0.1", "localhost", "::1") or "." not in (parts.hostname or "")
        if parts.scheme == "http" and not local:
            text = f"REEFLINE_{name.upper()} is plain http to another machine: passwords and labels can be read on it"
            yield Finding("settings", Level.WARN, text, "put https before it (see the docs on HTTPS)")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """There is room where things are kept."""
    folders = {settings.home.resolve()}
    if settings.store.startswith("file://"):
        folders.add(Path(unquote(urlsplit(settings.store).path)))
    for folder in sorted(folders):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free / GB
        text = f"{free:.1f} GB free at {folder}"
        if free >= settings.disk_reserve_gb:
            yield Finding("disk", Level.OK, text)
        else:
            level = Level.FAIL if free < settings.disk_reserve_gb / 10 else Level.WARN
            fix = f"make room (REEFLINE_DISK_RESERVE_GB is {settings.disk_reserve_gb:g}), or move REEFLINE_STORE_URL"
            yield Finding("disk", level, text, fix)


def check_ports(home: Path) -> Iterator[Finding]:
    """The ports of an installation on this machine are held by itself, or by nobody."""
    path = home / "ports.json"
    if not path.is_file():
        return
    ports: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    ours = {json.loads(note.read_text(encoding="utf-8"))["pid"] for note in (home / "pids").glob("*.json")}
    taken = 0
    for name, port in ports.items():
        stranger = _stranger_on(port, ours, home.resolve())
        if stranger:
            taken += 1
            fix = f"stop it, or remove {path}; then start again and run 'reefline cvat apply'"
            yield Finding("ports", Level.FAIL, f"port {port} of {name} is held by {stranger}", fix)
    if not taken:
        yield Finding("ports", Level.OK, ", ".join(f"{name} {port}" for name, port in ports.items()))


def _stranger_on(port: int, ours: set[int], home: Path) -> str | None:
    """Who listens on a port and is none of our processes, whether a supervisor or systemd has started them."""
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
            continue
        if connection.laddr.port != port:
            continue
        try:
            process = psutil.Process(connection.pid)
            family = {connection.pid, *(parent.pid for parent in process.parents())}
            if not family & ours and process.environ().get("REEFLINE_HOME") != str(home):
                return f"{process.name()} (process {connection.pid})"
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            return f"another user's process {connection.pid}"
    return None


def check_clock(settings: Settings) -> Iterator[Finding]:
    """This machine's clock agrees with those of CVAT and of the database."""
    offsets: dict[str, float | None] = {}
    if settings.cvat_url:
        try:
            answer = httpx.get(f"{settings.cvat_url.rstrip('/')}/api/server/about", timeout=SECONDS)
            if "date" in answer.headers:
                offsets["CVAT"] = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            pass  # the CVAT check says what is wrong with it
    for url in {settings.inbox, dagster_database(settings)}:
        if url.startswith("postgresql"):
            offsets["the database"] = _database_offset(url)
    known = {name: offset for name, offset in offsets.items() if offset is not None}
    for name, offset in known.items():
        if abs(offset) > SKEW_WARN_S:
            level = Level.FAIL if abs(offset) > SKEW_FAIL_S else Level.WARN
            text = f"{name}'s clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} this machine's"
            yield Finding("clock", level, text, "set both by NTP: timedatectl set-ntp true")
    if known and all(abs(offset) <= SKEW_WARN_S for offset in known.values()):
        yield Finding("clock", Level.OK, f"agrees with {' and '.join(known)}")


def _database_offset(url: str) -> float | None:
    engine = sa.create_engine(url, connect_args={"connect_timeout": int(SECONDS)})
    try:
        with engine.connect() as connection:
            told: Any = connection.exec_driver_sql("select extract(epoch from clock_timestamp())").scalar()
            return float(told) - time.time()
    except sa.exc.SQLAlchemyError:
        return None  # the database check says what is wrong with it
    finally:
        engine.dispose()


def check_gpu(device: str) -> Iterator[Finding]:
    """The device that models should run on is there, with its driver and a library that can use it."""
    cards, problem = _cards()
    wanted = device.partition(":")[0]
    import onnxruntime

    usable = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    library = 'pip uninstall onnxruntime && pip install "onnxruntime-gpu>=1.31"'
    if wanted in ("cuda", "tensorrt") and problem:
        fix = "install NVIDIA's driver (nvidia-smi must list the card), or set REEFLINE_DEVICE=auto"
        yield Finding("GPU", Level.FAIL, f"REEFLINE_DEVICE={device}, but {problem}", fix)
    elif cards and not usable and wanted != "cpu":
        level = Level.FAIL if wanted in ("cuda", "tensorrt") else Level.WARN
        yield Finding("GPU", level, f"{cards}, but this onnxruntime cannot use it", library)
    elif cards:
        yield Finding("GPU", Level.OK, f"{cards}; models run on {device}")
    else:
        yield Finding("GPU", Level.OK, f"none ({problem}); models run on the processor")


def _cards() -> tuple[str, str]:
    """NVIDIA's cards with driver and memory, or why there are none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "", "there is no nvidia-smi"
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - no input
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"nvidia-smi does not answer: {one_line(error)}"
    if asked.returncode or not asked.stdout.strip():
        return "", f"nvidia-smi says: {(asked.stdout + asked.stderr).strip().splitlines()[:1]}"
    return "; ".join(asked.stdout.strip().splitlines()), ""
