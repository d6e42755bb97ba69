"""One machine, no Docker: process supervisor, CVAT sandbox, scripted reviewer, demo.

Belongs here: starting and stopping real processes, and the sandbox that stands in for CVAT when trying and testing.
Stays out: anything production code would need.
"""
