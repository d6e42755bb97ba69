"""A storm over the events' way: transitions dropped, doubled and reordered, a tenth each, and kills.

A thousand transitions go over Dagster's own daemon, sensor, queue and runs; three hundred over a consumer that stands
for them and can be killed within a run.
"""

import pytest

from assets.common.names import Gate
from bench import chaos_daemon
from bench.chaos import GATE, Outcome, Planner, Storm, blow, run_key
from resources.inbox import DueReview
from sensors.reviews import collect_request

STORMS = {
    "daemon": (chaos_daemon.STORM, chaos_daemon.Daemon, 1000),
    "runs": (Storm(reviews=60, reopened=12, late=5, kills=8), None, 300),
}


@pytest.fixture(scope="module", params=STORMS)
def storm(request):
    return STORMS[request.param]


@pytest.fixture(scope="module")
def outcome(storm):
    plan, consumer, _ = storm
    return blow(plan, make_consumer=consumer)


@pytest.mark.slow
def test_the_storm_was_one(storm, outcome):
    plan, _, least = storm
    assert outcome.transitions >= least
    for share in (outcome.dropped, outcome.doubled_sendings, outcome.reordered):
        assert share >= 0.08 * 2 * outcome.transitions, "of all deliveries, with and without meaning"
    assert outcome.receiver_kills == outcome.consumer_kills == plan.kills
    assert outcome.runs_killed > 0, "kills must fall into runs, too"
    assert sum(outcome.healed) > 0, "events were lost, and reconciliation had something to heal"


@pytest.mark.slow
def test_every_review_is_collected_once_for_each_completion(storm, outcome):
    assert outcome.not_collected == {}
    assert outcome.collected_too_often == {}
    assert outcome.keys_used_twice == []
    assert outcome.runs == storm[0].reviews + storm[0].reopened


@pytest.mark.slow
def test_no_review_waits_and_no_row_is_unanswered(outcome):
    assert outcome.open_reviews == []
    assert outcome.unanswered_rows == 0


@pytest.mark.slow
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
