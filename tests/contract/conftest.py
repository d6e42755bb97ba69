"""One sandbox, one receiver and one replay of the recorded session for all contract tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.server import Receiver, SandboxProcess
from tests.contract.session import Played, play_session
from tests.contract.workplace import Workplace


@pytest.fixture(scope="session")
def contract(shared: Path) -> Path:
    """What a real CVAT 2.54.1 said."""
    return shared / "contracts" / "cvat"


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Takes the sandbox's webhooks."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox with nothing in it but its administrator."""
    made = SandboxProcess(tmp_path_factory.mktemp("sandbox")).start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def played(contract: Path, sandbox: SandboxProcess, receiver: Receiver) -> Played:
    """The recorded session, played against the sandbox."""
    return play_session(contract / "sdk280", sandbox, receiver)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A sandbox and a receiver for the tests of one file."""
    receiver = Receiver()
    folder = tmp_path_factory.mktemp("workshop")
    roots = ("--share-root", str(folder / "share"), "--cloud-root", str(folder / "cloud"))
    process = SandboxProcess(folder, flags=roots).start()
    yield Workplace(process, process.login(), receiver)
    process.stop()
    receiver.stop()


@pytest.fixture
def workplace(workshop: Workplace) -> Iterator[Workplace]:
    """The file's sandbox, with nothing unusual in force and nothing received yet."""
    workshop.receiver.taken.clear()
    yield workshop
    workshop.post("/sandbox/faults", {})
    workshop.post("/sandbox/dialect", {"dialect": "2.54"})
