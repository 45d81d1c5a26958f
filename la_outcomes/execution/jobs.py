"""Where cases run: so many processes here, or a Dask cluster."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from la_outcomes.errors import UsageError

SLURM = "slurm"


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster: ``tcp://`` on this machine, ``tls://`` anywhere, or ``slurm``.

    ``workers`` is how many SLURM jobs are kept running (each with one worker that holds one case at a
    time); a running cluster has the workers it has. Raises ``UsageError`` for an address that would send
    cases over a network in the clear.
    """

    address: str
    workers: int = 1

    def __post_init__(self) -> None:
        if self.address == SLURM:
            return
        parts = urlsplit(self.address)
        if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port:
            raise UsageError(
                f"not a cluster: {self.address!r}", hint="slurm, tcp://127.0.0.1:PORT or tls://HOST:PORT"
            )
        if parts.scheme == "tcp" and not is_loopback(parts.hostname):
            raise UsageError(
                f"{self.address} would carry cases in the clear",
                hint="tls://HOST:PORT with Dask's distributed.comm.tls settings; tcp:// is for this machine",
            )


Jobs = int | Cluster
"""Number of processes here, or a cluster."""


def is_loopback(host: str) -> bool:
    """True where only this machine can reach the host; names other than localhost are looked up by nobody."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
