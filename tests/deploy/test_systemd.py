"""Units of systemd: it takes them, they leave little room for harm, and the installation counts as running."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from deploy.backup.shelf import BackupError
from deploy.backup.upgrade import upgrade
from deploy.local.runtime import prepare
from deploy.local.services import services
from deploy.local.supervisor import RuntimeProblem, Supervisor, is_running
from deploy.local.systemd import units
from deploy.local.watch import answers
from orchestration.doctor.findings import Level
from orchestration.doctor.machine import check_ports
from resources.settings import Settings
from tests.contract.server import wait_until


def test_units_name_every_process_and_no_secret(tmp_path):
    given = Settings(_env_file=None, webhook_secret="very secret", cvat_url="")
    made = prepare(tmp_path / "my home", tmp_path, given=given)
    found = {unit.name: unit.text for unit in units(made, services(made, web=True), "reef")}
    assert set(found) == {
        f"reefline-{n}.service" for n in ("sandbox", "receiver", "code", "daemon", "watch", "web")
    } | {"reefline.target"}
    assert not [name for name, text in found.items() if "very secret" in text]
    assert made.settings.cvat_password.get_secret_value() not in "".join(found.values())
    assert (made.home / "sandbox.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="needs systemd-analyze")
@pytest.mark.parametrize("folder", ["home", "my 100% $HOME"])
def test_systemd_takes_the_units(tmp_path, folder):
    outside = {"store_url": (tmp_path / "the store").as_uri(), "inbox_url": f"sqlite:///{tmp_path}/db/inbox.db"}
    made = prepare(tmp_path / folder, tmp_path, given=Settings(_env_file=None, **outside))
    paths = []
    for unit in units(made, services(made, web=True), "root"):
        path = tmp_path / unit.name
        path.write_text(unit.text)
        paths.append(str(path))
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if "reefline" in line]
    assert not about_ours, done.stderr
    code = (tmp_path / "reefline-code.service").read_text()
    assert f'"{tmp_path}/the store"' in code
    assert (tmp_path / "the store").is_dir()
    assert (tmp_path / "db").is_dir()


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="needs systemd-analyze")
def test_units_leave_processes_little_they_could_do_harm_with(tmp_path):
    made = prepare(tmp_path / "home", tmp_path, given=Settings(_env_file=None))
    exposed = {}
    for unit in units(made, services(made, web=True), "reef"):
        if unit.name.endswith(".service"):
            (tmp_path / unit.name).write_text(unit.text)
            command = ["/usr/bin/systemd-analyze", "security", "--offline=true", "--no-pager", tmp_path / unit.name]
            told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            exposed[unit.name] = float(re.search(r"exposure level .*: ([0-9.]+)", told)[1])
    assert max(exposed.values()) < 5, exposed  # of 10; a unit without any of this has 9.6


def words(command):
    """A command of a unit, as systemd takes it apart."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(command)]


def test_an_installation_that_systemd_runs_counts_as_running(tmp_path):
    made = prepare(tmp_path / "my home", tmp_path, given=Settings(_env_file=None))
    ports = dict(made.ports)
    [unit] = [u for u in units(made, services(made, web=True), "reef") if u.name == "reefline-receiver.service"]
    command = words(re.search(r"(?m)^ExecStart=(.*)$", unit.text)[1])
    env = {**os.environ, **made.env, "REEFLINE_INBOX_URL": made.settings.inbox}
    process = subprocess.Popen(command, env=env, cwd=made.home, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{ports['receiver']}/ready") == "", 60)
        assert is_running(made.home)
        with pytest.raises(RuntimeProblem, match="already runs"), Supervisor(made.home):
            pass
        with pytest.raises(BackupError, match="stop it first"):
            upgrade(made.settings, None)
        assert prepare(made.home, tmp_path, given=Settings(_env_file=None)).ports["receiver"] == ports["receiver"]
        assert [f.level for f in check_ports(made.home)] == [Level.OK]
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert not is_running(made.home)
