"""The webhook receiver as a process of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.loopback import HOST, free_port

ROOT = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class Receiver:
    """The receiver as a process of its own; it can be killed and started again at the same address."""

    folder: Path
    inbox_url: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = field(default_factory=free_port)
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Receiver:
        """Start it and wait until it can store."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("REEFLINE_")}
        env |= {"REEFLINE_HOME": str(self.folder), "REEFLINE_WEBHOOK_SECRET": self.secret}
        command = [sys.executable, "-m", "sensors.receiver", "--port", str(self.port), "--inbox-url", self.inbox_url]
        with (self.folder / "receiver.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_ready(self.process)
        return self

    def _wait_ready(self, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(self.url + "/ready"):
                return
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the receiver does not answer: {(self.folder / 'receiver.log').read_text()[-800:]}")
            time.sleep(0.05)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it, abruptly unless asked otherwise."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None


@contextlib.contextmanager
def running_receiver(inbox_url: str, folder: Path) -> Iterator[Receiver]:
    """A receiver over this inbox."""
    receiver = Receiver(folder, inbox_url)
    try:
        yield receiver.start()
    finally:
        receiver.end(signal.SIGTERM)
