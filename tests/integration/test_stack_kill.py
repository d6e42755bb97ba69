"""The stack on Postgres with every process killed once while the demo runs through it."""

import pytest

from bench.postgres import NoPostgresError, Postgres
from bench.stack_kill import VICTIMS, kill_all

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.timeout(1500)
def test_every_process_is_killed_once_and_nothing_is_lost_or_doubled(tmp_path):
    try:
        with Postgres() as postgres:
            found = kill_all(tmp_path, postgres, (1, 1, 2))
    except NoPostgresError as error:
        pytest.skip(str(error))
    assert len(found.killed) == len(VICTIMS)
    assert found.doubled == 0, found
    assert found.lost == 0, found
    assert found.released == found.photos == 2
