"""``python -m deploy.docker.health [ROLE]``: the health check inside the images; exit code 0 when the process answers.

Without a role it is told by the command of process 1; a container that carries out a run has no port to ask and is
watched by Dagster's run monitoring instead. It is called every few seconds, so it imports little: Dagster's own health
commands load all of Dagster.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

SECONDS = 5
WATCH_SIGN = Path(tempfile.gettempdir()) / "reefline-watch"
"""Touched after every look of ``reefline watch``."""
WATCH_S = 300
ADDRESSES = {
    "receiver": "http://127.0.0.1:8765/ready",
    "webserver": "http://127.0.0.1:3000/server_info",
}
CODE_SERVER = "127.0.0.1:4000"
CODE_SERVICE = "DagsterApi"
"""Name under which Dagster's code server answers gRPC's health protocol."""
SIGNS = {
    "sensors.receiver": "receiver",
    "dagster-webserver": "webserver",
    "dagster_webserver": "webserver",
    "code-server": "code",
    "grpc": "code",
    "dagster-daemon": "daemon",
    "reefline watch": "watch",
}
"""What stands in the command line of a role's process."""


def role_of(command_line: str) -> str | None:
    """The role that a command line plays; ``None`` for a run or a command."""
    if "execute_run" in command_line or "execute_step" in command_line:
        return None
    return next((role for sign, role in SIGNS.items() if sign in command_line), None)


def healthy(role: str | None) -> bool:
    """Whether the process of a role answers."""
    if role in ADDRESSES:
        try:
            with urllib.request.urlopen(ADDRESSES[role], timeout=SECONDS) as answer:  # noqa: S310 - our own addresses
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, OSError):
            return False
    if role == "code":
        return _code_serves()
    if role == "daemon":
        command = [str(Path(sys.executable).with_name("dagster-daemon")), "liveness-check"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - our own command
    if role == "watch":
        return WATCH_SIGN.is_file() and time.time() - WATCH_SIGN.stat().st_mtime < WATCH_S
    return role is None


def _code_serves() -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(CODE_SERVER) as channel:
        request = health_pb2.HealthCheckRequest(service=CODE_SERVICE)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> int:
    """Check, and say so by the exit code."""
    first = Path("/proc/1/cmdline")
    told = first.read_bytes().replace(b"\0", b" ").decode(errors="replace") if first.is_file() else ""
    return 0 if healthy(sys.argv[1] if len(sys.argv) > 1 else role_of(told)) else 1


if __name__ == "__main__":
    sys.exit(main())
