"""The README's two commands, each on a fresh clone: an empty HOME, a new virtual environment, nothing else set up.

What is left of the environment is what a fresh machine also has: where programs are, and how
packages are fetched (proxy, index, certificates).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Variables a fresh machine has too; all others stay behind.
KEPT = ("path", "lang", "tz", "pyenv_root", "http_proxy", "https_proxy", "no_proxy", "requests_ca_bundle")
KEPT_PREFIXES = ("pip_", "ssl_cert")


def environment(home: Path) -> dict[str, str]:
    """What a new user's shell on a fresh machine would pass on."""
    kept = {k: v for k, v in os.environ.items() if k.lower() in KEPT or k.lower().startswith(KEPT_PREFIXES)}
    own = str(ROOT / ".venv" / "bin")
    path = os.pathsep.join(p for p in kept["PATH"].split(os.pathsep) if p != own)
    return {**kept, "PATH": path, "HOME": str(home)}


def timed(command: list[str], cwd: Path, home: Path) -> tuple[float, str]:
    """Seconds of a command and the end of what it printed; raises RuntimeError when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment(home), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        printed = f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{printed}")
    return seconds, done.stdout[-4000:]


def row(target: str) -> dict[str, Any]:
    """Seconds of one of the README's commands in a clone of its own, so that it also pays for its installation."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also when this runs in a script's background
    with tempfile.TemporaryDirectory(prefix="reefline-clean-") as scratch:
        shared = ROOT.parent / "shared"
        if shared.exists():
            (Path(scratch) / "shared").symlink_to(shared)
        home, clone = Path(scratch) / "home", Path(scratch) / "clone"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        install, _ = timed(["make", "setup"], clone, home)
        seconds, printed = timed(["make", target], clone, home)
    verdict = re.search(r"(\d+ passed[^\n=]*?) in ", printed)
    note = f"installation {install:.0f} s and make {target} {seconds:.0f} s, {os.cpu_count()} cores"
    return {
        "name": f"clean_machine.{target}_seconds",
        "value": round(install + seconds, 1),
        "unit": "s",
        "note": f"{note}; {verdict.group(1)}" if verdict else note,
    }
