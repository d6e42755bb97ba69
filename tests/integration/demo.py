"""Running the demo as a user does, as a process of its own, and looking at what it left."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from deploy.local.runtime import prepare
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from resources.bundle import make_cvat

RUN = (
    "import sys; from pathlib import Path; from rich.console import Console\n"
    "from deploy.local.demo.run import DemoOptions, run_demo\n"
    "from deploy.local.demo.photos import SampleSize\n"
    "run_demo(DemoOptions(Path(sys.argv[1]), size=SampleSize(*map(int, sys.argv[2:]))), Console())\n"
)


def environment() -> dict[str, str]:
    """The environment without settings of an installation that the developer may have."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("REEFLINE_", "DAGSTER_"))}


def start_demo(folder: Path, *size: int) -> subprocess.Popen:
    """Start a demo of sites x years x quadrats; its output goes to a log beside the folder."""
    log = folder.with_suffix(".log").open("ab")
    command = [sys.executable, "-c", RUN, str(folder), *map(str, size)]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder.parent, env=environment())


def output(folder: Path) -> str:
    """What the demo has said."""
    return folder.with_suffix(".log").read_text(errors="replace")


def finish(folder: Path, process: subprocess.Popen, seconds: float = 500) -> dict:
    """Wait for a demo to end well; its summary."""
    assert process.wait(seconds) == 0, output(folder)[-3000:]
    return json.loads((folder / "summary.json").read_text())


def service_pid(folder: Path, name: str) -> int | None:
    """Process id of a running service of the demo."""
    path = folder / "home" / "pids" / f"{name}.json"
    try:
        pid = json.loads(path.read_text())["pid"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return pid if psutil.pid_exists(pid) else None


def wait_for(condition, folder: Path, process: subprocess.Popen, seconds: float = 200):
    """Wait until the condition holds while the demo runs; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert process.poll() is None, f"the demo ended early:\n{output(folder)[-3000:]}"
        assert time.monotonic() < deadline, f"waited too long:\n{output(folder)[-3000:]}"
        time.sleep(0.2)
    return value


def cvat_tasks(folder: Path) -> list[str]:
    """Names of all tasks in the demo's CVAT sandbox."""
    installation = prepare(folder / "home", folder / "surveys")
    with Supervisor(installation.home) as supervisor:
        [sandbox] = [s for s in services(installation, web=False) if s.name == "sandbox"]
        supervisor.start(sandbox)
        supervisor.wait_ready("sandbox")
        return make_cvat(installation.settings).task_names()
