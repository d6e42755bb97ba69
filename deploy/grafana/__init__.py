"""Grafana: dashboards and alert rules as code, and the files that provision them.

Belongs here: typed Python that makes ``dashboards/*.json`` and ``provisioning/alerting/*.yaml`` (``python -m
deploy.grafana``; needs the dev extra), and the hand-written provisioning beside them. The SQL of our own dashboards is
``analytics/questions``; CVAT's three have theirs here. A running Grafana needs the made files only, no Python.
"""
