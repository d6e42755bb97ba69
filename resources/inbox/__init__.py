"""The inbox: every delivery of CVAT, kept before it is answered, and what is known of the reviews people work on.

``interpret`` reads a delivery (no database), ``tables`` is the schema, ``inbox`` the operations of the platform,
``jobs`` what is known of CVAT's jobs, ``letters`` what people do by hand. The state of a row is the truth: ``new`` (not
looked at), ``pending`` (tells of a review that is not collected), ``done``, ``ignored`` (noise), ``dead`` (needs a
person: the run it started has failed for good, or it cannot be read).
"""

from __future__ import annotations

from resources.inbox.inbox import Inbox
from resources.inbox.interpret import JobState
from resources.inbox.letters import LetterError
from resources.inbox.model import Delivery, DueReview, Interpreted, Letter, ReviewStatus

__all__ = ["Delivery", "DueReview", "Inbox", "Interpreted", "JobState", "Letter", "LetterError", "ReviewStatus"]
