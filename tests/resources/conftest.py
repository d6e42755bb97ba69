"""An inbox on SQLite, empty or with a review."""

import pytest

from resources.inbox import Inbox
from tests.resources.told import TASK, job


@pytest.fixture
def inbox(tmp_path):
    return Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")


@pytest.fixture
def review(inbox):
    """A review of one job that nobody has begun."""
    inbox.register_review("reef.0001", "corners", TASK, "http://cvat/tasks/7", [job()])
    return inbox
