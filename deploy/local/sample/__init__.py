"""A made-up campaign in the analytics tables, to try dashboards and reports on: three years of a reef, five people.

Belongs here: rows of every table as a real installation would have them (people at work, webhooks lost, a gate that
nobody answers), the same for the same moment. It is invented data and must never be mixed with real tables.
"""

from __future__ import annotations

from deploy.local.sample.load import fill

__all__ = ["fill"]
