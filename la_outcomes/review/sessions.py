"""Who is at the page: keys that open it, and one session a browser with the reader's pseudonym."""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from la_outcomes.errors import InputError
from la_outcomes.review.records import Reader

PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
SHORTEST_TOKEN = 16
MOST_SESSIONS = 200


@dataclass(frozen=True)
class Session:
    """A reader in one browser; ``csrf`` must come back with everything that writes."""

    reader: Reader
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass
class Door:
    """Opens sessions.

    With ``tokens`` (reader to token) each reader has a secret of their own; without, ``key`` stands in the
    address that is printed at the start, and the reader gives a pseudonym. ``adjudicator`` names the reader
    whose decisions go before others'.
    """

    tokens: Mapping[str, str] | None = None
    pass_no: int = 1
    adjudicator: str | None = None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def __post_init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def enter(self, secret: str, name: str) -> tuple[str, Session]:
        """A new session and its cookie's value; ``InputError`` for a wrong secret or an unfit pseudonym."""
        reader = self._named(secret, name.strip())
        session = Session(Reader(reader, self.pass_no, reader == self.adjudicator))
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[cookie] = session
        return cookie, session

    def session(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where there is none, as after a restart."""
        return self._sessions.get(cookie or "")

    def leave(self, cookie: str | None) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(cookie or "", None)

    def _named(self, secret: str, name: str) -> str:
        if self.tokens is not None:
            fits = [reader for reader, token in self.tokens.items() if _same(secret, token)]
            if not fits:
                raise InputError("this token opens nothing")
            return fits[0]
        if not _same(secret, self.key):
            raise InputError("open the page by the address that was printed when it was started")
        if not PSEUDONYM.fullmatch(name):
            raise InputError("a pseudonym has up to 40 letters, digits, dots, dashes and underscores")
        return name


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def read_tokens(path: Path) -> dict[str, str]:
    """Tokens by reader from a file with lines ``pseudonym token``; raises ``InputError``.

    Refused: a file that others on this machine may read, unfit pseudonyms, short or shared tokens.
    """
    if not path.is_file():
        raise InputError("there is no such file of tokens", where=path)
    if path.stat().st_mode & 0o077:
        raise InputError("others may read the file of tokens", where=path, hint="chmod 600")
    tokens: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            name, _, token = line.strip().partition(" ")
            if not PSEUDONYM.fullmatch(name) or len(token) < SHORTEST_TOKEN or name in tokens:
                hint = f"one reader a line: pseudonym, space, token of {SHORTEST_TOKEN} characters or more"
                raise InputError(f"line {number} is no reader with a token", where=path, hint=hint)
            tokens[name] = token
    if not tokens or len(set(tokens.values())) < len(tokens):
        raise InputError("each reader needs a token of their own", where=path)
    return tokens
