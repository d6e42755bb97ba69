"""``python -m sensors.receiver``: run the receiver."""

from __future__ import annotations

import argparse
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from resources.inbox import Inbox
from resources.logs import set_up_logging
from resources.settings import SettingsError, load_settings
from sensors.receiver.app import BODY_LIMIT, ReceiverSettings, create_app


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sensors.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--inbox-url", default="", help="default: the installation's inbox")
    parser.add_argument("--body-limit", type=int, default=BODY_LIMIT, help="bytes")
    parser.add_argument("--allow-unsigned", action="store_true", help="for development only")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"receiver: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings)
    secrets = [settings.webhook_secret.get_secret_value(), settings.webhook_secret_previous.get_secret_value()]
    if not any(secrets) and not arguments.allow_unsigned:
        print("receiver: set REEFLINE_WEBHOOK_SECRET (the secret of CVAT's webhooks)", file=sys.stderr)
        return 2
    inbox = Inbox(arguments.inbox_url or settings.inbox)
    try:
        inbox.writable()
    except SQLAlchemyError as error:
        print(f"receiver: the inbox {inbox.place} cannot be used: {error.args[0]}", file=sys.stderr)
        return 2
    app = create_app(inbox, ReceiverSettings(secrets, arguments.allow_unsigned, arguments.body_limit))
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
