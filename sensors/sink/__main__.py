"""``python -m sensors.sink``: run the event sink."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvicorn

from resources.clickhouse import ClickHouse
from resources.events.load import LoadSettings
from resources.events.spool import Spool, SpoolBusyError
from resources.settings import SettingsError, load_settings
from sensors.sink.app import BODY_LIMIT, SinkSettings, create_app
from sensors.sink.loader import Loader


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sensors.sink", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8282, help="default: Vector's in CVAT")
    parser.add_argument("--spool", type=Path, default=None, help="folder of the buffer; default: REEFLINE_HOME/sink")
    parser.add_argument("--spool-limit", type=int, default=4 * 2**30, help="bytes, then senders must wait")
    parser.add_argument("--body-limit", type=int, default=BODY_LIMIT, help="bytes")
    parser.add_argument("--allow-anybody", action="store_true", help="no secret; for development only")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load_settings()
        secret = settings.events_secret.get_secret_value()
        spool = Spool(arguments.spool or settings.home / "sink", arguments.spool_limit)
        loader = Loader(spool, ClickHouse(settings.clickhouse), LoadSettings.of(settings))
    except (SettingsError, SpoolBusyError) as error:
        print(f"sink: {error}", file=sys.stderr)
        return 2
    if not secret and not arguments.allow_anybody:
        print("sink: set REEFLINE_EVENTS_SECRET (CVAT's Vector or logger sends it along)", file=sys.stderr)
        return 2
    loader.start()
    app = create_app(spool, loader, SinkSettings([secret] if secret else [], arguments.body_limit))
    try:
        uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False)
    finally:
        loader.stop()
        spool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
