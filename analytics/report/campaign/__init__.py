"""The campaign report: the answers to the named questions as one HTML file, for those who run no Grafana.

Belongs here: charts, sections and the page, from rows that somebody else has asked for. Stays out: ClickHouse.
"""

from __future__ import annotations

from analytics.report.campaign.page import QUESTIONS, CampaignReport, campaign_report

__all__ = ["QUESTIONS", "CampaignReport", "campaign_report"]
