"""The supervisor with real processes."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from deploy.local.supervisor import RuntimeProblem, Service, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_a_service_that_is_killed_is_started_again(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Service("sleeper", SLEEP))
        first = supervisor.pid("sleeper")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: supervisor.finished("sleeper") is not None)
        assert supervisor.check() == ["sleeper"]
        assert supervisor.pid("sleeper") != first


def test_stopping_ends_a_service_and_what_it_started(tmp_path):
    code = (
        "import subprocess,sys,time\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Service("parent", [sys.executable, "-c", code]))
        log = supervisor.logs / "parent.log"
        wait_until(lambda: log.read_text().strip())
        child = int(log.read_text())
        assert psutil.pid_exists(child)
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_a_service_that_keeps_dying_is_given_up_with_its_last_words(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Service("bad", [sys.executable, "-c", "raise SystemExit('the port is taken')"]))
        with pytest.raises(RuntimeProblem, match=r"bad died 5 times.*the port is taken"):
            for _ in range(10):
                wait_until(lambda: supervisor.finished("bad") is not None)
                supervisor.check()


def test_two_supervisors_cannot_have_one_folder(tmp_path):
    with Supervisor(tmp_path), pytest.raises(RuntimeProblem, match="already runs"), Supervisor(tmp_path):
        pass


def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next(tmp_path):
    code = (
        "import sys,time\nfrom pathlib import Path\nfrom deploy.local.supervisor import Service, Supervisor\n"
        "s = Supervisor(Path(sys.argv[1])).__enter__()\n"
        "s.start(Service('orphan', [sys.executable, '-c', 'import time; time.sleep(60)']))\n"
        "print(s.pid('orphan'), flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    orphan = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert psutil.pid_exists(orphan)
    with Supervisor(tmp_path):
        wait_until(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)


def test_a_stranger_with_the_same_process_id_is_left_alone(tmp_path):
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    (tmp_path / "pids").mkdir()
    note = {"pid": stranger.pid, "created": psutil.Process(stranger.pid).create_time() - 1000}
    (tmp_path / "pids" / "old.json").write_text(json.dumps(note))
    with Supervisor(tmp_path):
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_sigterm_ends_the_services_too(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom deploy.local.supervisor import Service, Supervisor\n"
        "with Supervisor(Path(sys.argv[1])) as supervisor:\n"
        "    supervisor.start(Service('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)']))\n"
        "    print(supervisor.pid('sleeper'), flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    service = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    wait_until(lambda: not psutil.pid_exists(service))
