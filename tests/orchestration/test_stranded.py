"""Runs whose process is gone are given back; runs that live are left alone."""

import os
import subprocess
import sys
import time
import uuid

import dagster as dg
import psutil
import pytest

from orchestration.stranded import end_stranded, process_lives


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(instance, pid, status=dg.DagsterRunStatus.STARTED):
    made = instance.add_run(dg.DagsterRun("start_batch", run_id=str(uuid.uuid4()), status=status))
    instance.report_engine_event(f"Started process for run (pid: {pid}).", made)
    return made.run_id


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_without_its_process_is_reported_as_failed(instance):
    lost = run(instance, ended_process())
    assert end_stranded(instance) == [lost]
    found = instance.get_run_by_id(lost)
    assert found.status == dg.DagsterRunStatus.FAILURE
    assert end_stranded(instance) == [], "once"


def test_a_run_that_was_being_cancelled_is_cancelled(instance):
    lost = run(instance, ended_process(), dg.DagsterRunStatus.CANCELING)
    assert end_stranded(instance) == [lost]
    assert instance.get_run_by_id(lost).status == dg.DagsterRunStatus.CANCELED


def test_living_ended_and_unknown_runs_are_left_alone(instance):
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        time.sleep(0.1)
        run(instance, living.pid)
        run(instance, ended_process(), dg.DagsterRunStatus.SUCCESS)
        instance.add_run(dg.DagsterRun("start_batch", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED))
        assert end_stranded(instance) == []
    finally:
        living.kill()
        living.wait()


def test_another_process_with_the_same_number_is_not_taken_for_the_run():
    mine = psutil.Process(os.getpid()).create_time()
    assert process_lives(os.getpid(), mine + 5)
    assert not process_lives(os.getpid(), mine - 60), "it began after the run had said so"
    assert not process_lives(os.getpid(), mine + 4000), "it is much older than the run"
