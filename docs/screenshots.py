"""Takes the pictures of the README from a running demo: the lineage page and a batch's contact sheet.

Needs Chromium (Debian: ``apt install chromium``) and a finished ``make demo``. Run with ``make screenshots``; the
campaign report alone, whose data are made up, needs no demo: ``python docs/screenshots.py dashboard``.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import dagster as dg
from PIL import Image

from analytics.report.campaign import QUESTIONS, CampaignReport, campaign_report
from deploy.local.runtime import prepare
from deploy.local.sample import fill
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from resources.answers import ask_all
from resources.clickhouse import ClickHouse

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo"
OUT = ROOT / "docs" / "images"
SHEETS = ("corners/reviewed", "lattice/reviewed", "corals/reviewed")


def chromium() -> str:
    """The browser's path."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        sys.exit("screenshots: Chromium is not installed (Debian: apt install chromium)")
    return found


def shoot(url: str, target: Path, size: tuple[int, int], wait_ms: int) -> None:
    """One picture of one page. Virtual time lets the page's own requests finish first."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium(),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            f"--virtual-time-budget={wait_ms}",
            f"--screenshot={target}",
            url,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=180)  # noqa: S603 - our own command


def save_sheets(dagster_home: str) -> None:
    """The contact sheets of the first batch, out of the assets' own metadata."""
    with dg.DagsterInstance.from_config(dagster_home) as instance:
        for stage in SHEETS:
            records = instance.fetch_materializations(dg.AssetKey(stage.split("/")), limit=1).records
            if not records or records[0].asset_materialization is None:
                sys.exit(f"screenshots: {stage} has not been made; run 'make demo' first")
            text = str(records[0].asset_materialization.metadata["preview"].value)
            found = re.search(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
            if not found:
                sys.exit(f"screenshots: the preview of {stage} holds no picture")
            target = OUT / f"{stage.replace('/', '-')}.jpg"
            target.write_bytes(base64.b64decode(found[1]))


def save_report(store: Path) -> None:
    """The top of the first batch's quality report, as a browser shows it."""
    pages = sorted((store / "reports" / "quality" / "report").glob("*.html"))
    if not pages:
        sys.exit("screenshots: no quality report; run 'make demo' first")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "report.png"
        shoot(pages[0].as_uri(), raw, (1240, 2050), 5_000)
        with Image.open(raw) as picture:
            picture.convert("RGB").save(OUT / "quality-report.jpg", quality=86)


def save_dashboard() -> None:
    """The campaign report of the sample campaign, from its top."""
    with tempfile.TemporaryDirectory() as folder:
        page, raw = Path(folder) / "report.html", Path(folder) / "report.png"
        now = datetime.now(UTC)
        with ClickHouse(f"chdb://{folder}/clickhouse").session() as session:
            fill(session, now)
            answers = ask_all(session, QUESTIONS, {"pseudonyms": 1, "hour_cost": 20.0})
        page.write_bytes(campaign_report(CampaignReport(answers, now, hour_cost=20.0)))
        shoot(page.as_uri(), raw, (1240, 2380), 5_000)
        with Image.open(raw) as picture:
            picture.convert("RGB").save(OUT / "dashboard.jpg", quality=84)


def main() -> None:
    """Take all pictures, or the one of the campaign report."""
    OUT.mkdir(parents=True, exist_ok=True)
    save_dashboard()
    if sys.argv[1:] == ["dashboard"]:
        return
    installation = prepare(DEMO / "home", DEMO / "surveys")
    save_sheets(installation.env["DAGSTER_HOME"])
    save_report(installation.home / "store")
    shutil.copyfile(DEMO / "cover.png", OUT / "cover.png")
    with Supervisor(installation.home) as supervisor:
        wanted = [s for s in services(installation, web=True) if s.name in ("code", "web")]
        for service in wanted:
            supervisor.start(service)
        for service in wanted:
            supervisor.wait_ready(service.name)
        time.sleep(5)
        groups = ("images", "corners", "lattice", "corals", "quality", "cover", "datasets")
        expanded = ",".join(f"global@global:{group}" for group in groups)
        url = f"{installation.web_url}/asset-groups?{urlencode({'expanded': expanded})}"
        shoot(url, OUT / "lineage.png", (2200, 1560), 25_000)
    print(f"pictures are in {OUT}")


if __name__ == "__main__":
    main()
