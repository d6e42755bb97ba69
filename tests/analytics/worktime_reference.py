"""CVAT's algorithm for working time and ours, read as plainly as Python allows: what the SQL is held to.

After ``cvat/apps/events/utils.py`` (compute_working_time_per_ids) and docs/analytics.md. One event at a time, no
windows, no running maxima over columns.
"""

from collections import defaultdict

CAP_MS = 100_000
SESSION_MS = 30 * 60_000


def cvat(events, previous=None):
    """Milliseconds by place; ``events``: dicts with t, scope, lasted, place, in the order in which they were sent."""
    booked = defaultdict(int)
    if not events:
        return booked
    reached = end(previous) if previous else events[0]["t"]
    place = (previous or events[0])["place"]
    for event in events:
        worked = 0
        if event["t"] > reached:
            gap = event["t"] - reached
            if gap < CAP_MS:
                worked += gap
            reached = event["t"]
        if end(event) > reached:
            worked += end(event) - reached
            reached = end(event)
        booked[place] += worked
        place = event["place"]
    return booked


def end(event):
    """Only frame changes last."""
    return event["t"] + (event["lasted"] if event["scope"] == "change:frame" else 0)


def ours(events):
    """Milliseconds by place: marks every millisecond of work, then adds capped pauses. Times in ms, small."""
    booked = defaultdict(int)
    worked = set()
    before = None
    for event in sorted(events, key=lambda e: (e["t"], e["tie"])):
        lasts = min(event["lasted"], CAP_MS * max(event["merged"], 1))
        mine = set(range(event["t"], event["t"] + lasts)) - worked
        if before is not None:
            reached = max(e["t"] + min(e["lasted"], CAP_MS * max(e["merged"], 1)) for e in before)
            pause = max(0, event["t"] - reached)
            if pause < SESSION_MS:
                booked[before[-1]["place"]] += min(pause, CAP_MS)
        booked[event["place"]] += len(mine)
        worked |= mine
        before = [*(before or []), event]
    return booked
