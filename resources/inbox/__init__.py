"""The inbox: every delivery of CVAT, kept before it is answered, and what is known of the reviews people work on.

``interpret`` reads a delivery (no database), ``tables`` is the schema, ``inbox`` the operations. The state of a
row is the truth: ``new`` (not looked at), ``pending`` (tells of a review that is not collected), ``done``, ``ignored``.
"""

from __future__ import annotations

from resources.inbox.inbox import Delivery, DueReview, Inbox, Interpreted, JobState, ReviewStatus

__all__ = ["Delivery", "DueReview", "Inbox", "Interpreted", "JobState", "ReviewStatus"]
