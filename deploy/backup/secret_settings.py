"""Settings in a backup: plain ones as they are, secrets only encrypted with a passphrase (scrypt, Fernet)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from deploy.backup.shelf import BackupError
from deploy.local.runtime import as_environment
from resources.settings import PREFIX, Settings, secrets_of

PLACES = (
    "home", "surveys_dir", "store_url", "inbox_url", "dagster_url", "clickhouse_url", "cvat_database_url", "backup_url",
)  # fmt: skip
"""Where things are: a restored installation has its own."""
NEVER = ("backup_passphrase",)
SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 2**20}


def pack_settings(settings: Settings) -> dict[str, Any]:
    """The settings that somebody has set, as JSON; secrets as one encrypted text, or only by name."""
    given = [n for n in settings.model_fields_set if n not in (*PLACES, *NEVER)]
    secret = set(secrets_of(settings))
    plain = as_environment(settings, [n for n in given if n not in secret])
    hidden = as_environment(settings, [n for n in given if n in secret])
    packed: dict[str, Any] = {"plain": plain, "left_out": sorted(hidden)}
    passphrase = settings.backup_passphrase.get_secret_value()
    if passphrase and hidden:
        salt = os.urandom(16)
        token = Fernet(_key(passphrase, salt)).encrypt(json.dumps(hidden).encode())
        packed |= {"salt": salt.hex(), "secrets": token.decode(), "left_out": []}
    return packed


def unpack_settings(packed: dict[str, Any], passphrase: str) -> tuple[dict[str, str], list[str]]:
    """Variables with their values, and names of secrets that must be set by hand.

    Raises:
        BackupError: the passphrase is another one.
    """
    found = dict(packed["plain"])
    if "secrets" not in packed:
        return found, list(packed["left_out"])
    if not passphrase:
        return found, ["all secrets: give the backup's passphrase in REEFLINE_BACKUP_PASSPHRASE"]
    try:
        told = Fernet(_key(passphrase, bytes.fromhex(packed["salt"]))).decrypt(packed["secrets"].encode())
    except InvalidToken as error:
        name = f"{PREFIX}BACKUP_PASSPHRASE"
        raise BackupError(f"{name} is not the one that this backup was made with") from error
    return found | json.loads(told), []


def _key(passphrase: str, salt: bytes) -> bytes:
    return base64.urlsafe_b64encode(hashlib.scrypt(passphrase.encode(), salt=salt, dklen=32, **SCRYPT))
