"""Pseudonyms by keyed hash: the same person gets the same name from every folder, and nobody without the key
can try numbers until one fits.

HMAC-SHA256 (RFC 2104, FIPS 198-1) over what is named (patient, series, study, file) and its identifier,
written in lower-case base32 and cut to 60 bits. The key lies in a file of its own, outside the registry and
outside what is passed on; whoever loses it can no longer tell which pseudonym belongs to whom, and whoever
has it can.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from la_outcomes.errors import InputError, UsageError

VARIABLE = "LA_OUTCOMES_KEY_FILE"
KEY_BYTES = 32
NAME_LENGTH = 12
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Pseudonyms:
    """Gives pseudonyms; the key is kept out of every ``repr``."""

    key: bytes = field(repr=False)

    def of(self, what: str, identifier: str, length: int = NAME_LENGTH) -> str:
        """Pseudonym of a thing of kind ``what``: letters a-z and digits 2-7, 5 bits each."""
        digest = hmac.digest(self.key, f"{what}\0{identifier}".encode(), hashlib.sha256)
        return base64.b32encode(digest).decode().lower()[:length]

    def hash_of(self, what: str, identifier: str) -> str:
        """The whole keyed hash, hexadecimal."""
        return hmac.digest(self.key, f"{what}\0{identifier}".encode(), hashlib.sha256).hex()


def default_key_file() -> Path:
    """``LA_OUTCOMES_KEY_FILE``, else ``la-outcomes/pseudonyms.key`` in the user's folder for settings."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    else:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "la-outcomes" / "pseudonyms.key"


def pseudonyms_by_key(file: Path | None, *, outside: Path) -> Pseudonyms:
    """Pseudonyms by the key in ``file`` (None: the default), which is made where there is none yet.

    A new key is drawn by the operating system and readable by its owner alone (0600). Raises
    ``UsageError`` where the file would lie inside ``outside``, the folder that is passed on, and
    ``InputError`` where it holds no key or others can read it. No message shows what it holds.
    """
    path = default_key_file() if file is None else file
    if path.resolve().is_relative_to(outside.resolve()):
        raise UsageError(
            "the key for pseudonyms must not lie in the folder that is passed on",
            where=path,
            hint="give --key a file elsewhere",
        )
    if not path.exists():
        _make(path)
    return Pseudonyms(_read(path))


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was quicker
        return
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")


def _read(path: Path) -> bytes:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & _READABLE_BY_OTHERS:
        raise InputError(
            "others than its owner can read the key for pseudonyms", where=path, hint=f"chmod 600 {path.name}"
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (ValueError, OSError):
        key = b""
    if len(key) < KEY_BYTES:
        raise InputError(
            f"the file holds no key: {2 * KEY_BYTES} hexadecimal digits are needed",
            where=path,
            hint="bring the key back from a copy; a new key gives every patient a new name",
        )
    return key
