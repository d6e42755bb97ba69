"""The CVAT sandbox as a process of its own, a receiver of webhooks, and plain requests to any CVAT."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx

from deploy.local.loopback import free_port

ADMIN, PASSWORD = "admin", "a password of the test"


def wait_until(condition, seconds: float = 30.0, what: str = "waited too long"):
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


@dataclass
class SandboxProcess:
    """A sandbox that can be killed and started again over the same folder and port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    flags: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "SandboxProcess":
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "deploy.local.sandbox", "--data", str(self.folder / "data")]
        command += ["--port", str(self.port), "--user", ADMIN, *self.flags]
        env = {**os.environ, "REEFLINE_SANDBOX_PASSWORD": PASSWORD}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        wait_until(self._answers, 180, "the sandbox does not answer")
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return httpx.get(f"{self.url}/api/server/about", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop it as an operator does."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def login(self, username: str = ADMIN, password: str = PASSWORD) -> httpx.Client:
        """A client with a user's token."""
        answer = httpx.post(f"{self.url}/api/auth/login", json={"username": username, "password": password})
        answer.raise_for_status()
        headers = {"Authorization": f"Token {answer.json()['key']}", "Accept": "application/vnd.cvat+json"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@dataclass
class Receiver:
    """Takes webhooks; a path below ``/fail`` answers 500, as the recorded one did."""

    taken: list[dict] = field(default_factory=list)
    answer_after_s: float = 0.0
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers, before it goes on as usual."""

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.answer_after_s)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.taken.append({"path": self.path, "headers": headers, "raw": raw, "body": _json(raw)})
                usual = 500 if self.path.startswith("/fail") else 200
                self.send_response(receiver.answers.pop(0) if receiver.answers else usual)
                answer = b'{"ok": true}'
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_args) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        """Close the port."""
        self.server.shutdown()
        self.server.server_close()


def _json(raw: bytes) -> dict | None:
    try:
        return json.loads(raw)
    except ValueError:
        return None
