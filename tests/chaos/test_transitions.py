"""A storm over the events' way: a thousand transitions, a tenth each dropped, doubled and reordered, forty kills."""

import pytest

from assets.common.names import Gate
from bench.chaos import GATE, blow
from bench.chaos_consumer import run_key
from bench.chaos_plan import Outcome, Planner, Storm
from resources.inbox import DueReview
from sensors.reviews import collect_request

STORM = Storm(seed=1)


@pytest.fixture(scope="module")
def outcome():
    return blow(STORM)


@pytest.mark.slow
@pytest.mark.long
def test_the_storm_was_one(outcome):
    assert outcome.transitions >= 1000
    for share in (outcome.dropped, outcome.doubled_sendings, outcome.reordered):
        assert share >= 0.08 * 2 * outcome.transitions, "of all deliveries, with and without meaning"
    assert outcome.receiver_kills == outcome.consumer_kills == STORM.kills
    assert outcome.runs_killed > 0, "kills must fall into runs, too"
    assert sum(outcome.healed) > 0, "events were lost, and reconciliation had something to heal"


@pytest.mark.slow
@pytest.mark.long
def test_every_review_is_collected_once_for_each_completion(outcome):
    assert outcome.not_collected == {}
    assert outcome.collected_too_often == {}
    assert outcome.keys_used_twice == []
    assert outcome.runs == STORM.reviews + STORM.reopened


@pytest.mark.slow
@pytest.mark.long
def test_no_review_waits_and_no_row_is_unanswered(outcome):
    assert outcome.open_reviews == []
    assert outcome.unanswered_rows == 0


@pytest.mark.slow
@pytest.mark.long
def test_reconciling_once_more_finds_nothing(outcome):
    assert outcome.healed_at_last == 0
    assert (outcome.lost_events, outcome.doubled) == (0, 0)


def test_a_seed_always_makes_the_same_plan():
    one, same, other = (Planner(Storm(seed=seed), Outcome()).phases() for seed in (5, 5, 6))
    assert one == same
    assert one != other


def test_the_consumer_names_runs_as_the_sensor_does():
    review = DueReview("reef.0001", GATE, 7, 42)
    assert Gate(GATE)
    assert run_key(review) == collect_request(review, "after_corals").run_key
