"""Talking to a PACS: who we are, whom we call, over the wire or in TLS.

DICOM's network protocol (PS3.7, PS3.8) by pynetdicom. Errors name the peer's host and what it said, never a
patient, study or file.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from la_outcomes.errors import InputError, ResourceError, UsageError

SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
TIMEOUT_S = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Peer:
    """A PACS and how to reach it. ``ca_file`` turns TLS on; ``insecure`` allows other hosts without it."""

    host: str
    port: int
    called: str
    calling: str = "LA_OUTCOMES"
    ca_file: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise UsageError(f"a port lies between 1 and 65535, not {self.port}")
        for title in (self.called, self.calling):
            if not 0 < len(title.strip()) <= 16 or not title.isascii():
                raise UsageError("an application entity title has 1 to 16 ASCII characters")
        if self.ca_file is None and not self.insecure and self.host not in _LOOPBACK:
            raise UsageError(
                "images of patients would travel unencrypted",
                hint="give --ca-file for TLS, or --insecure inside a hospital's own network",
            )

    @property
    def where(self) -> str:
        """For errors."""
        return f"{self.called} at {self.host}:{self.port}"

    def tls(self) -> tuple[ssl.SSLContext, str] | None:
        """What pynetdicom wants for TLS; None without."""
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=str(self.ca_file)), self.host
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                "the file with the PACS's certificate cannot be used", where=self.ca_file
            ) from error


def require_pynetdicom() -> None:
    """Raise ``UsageError`` with a hint where the optional package is not installed."""
    try:
        import pynetdicom  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "a PACS is reached by the package pynetdicom", hint='pip install "la-outcomes[dicom]"'
        ) from error


@contextmanager
def associated(peer: Peer, entity: Any, **asked: Any) -> Iterator[Any]:
    """An open association, released at the end. Raises ``ResourceError`` where there is none to be had."""
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
    entity.connection_timeout = TIMEOUT_S
    given = {"ae_title": peer.called, "tls_args": peer.tls(), **asked}
    association = entity.associate(peer.host, peer.port, **given)
    if not association.is_established:
        why = "it refused the association" if association.is_rejected else "no answer"
        raise ResourceError(
            f"the PACS cannot be reached: {why}", where=peer.where,
            hint="are host, port and both titles right, and does the PACS know ours?",
        )  # fmt: skip
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def status_of(answer: Any) -> int | None:
    """Status of a response; None where the peer broke off."""
    return int(answer.Status) if answer is not None and "Status" in answer else None
