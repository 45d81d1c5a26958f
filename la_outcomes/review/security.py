"""What every request and answer must fulfil: own host, own origin, headers that keep others out."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 20_000
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Refuse requests that come from another site or are meant for another host; add the headers.

    ``hosts`` are the values of the Host header that count, None for any (with TLS and tokens); against
    names that others point at this machine. ``scheme`` is http or https.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, scheme: str) -> None:
        self.app = app
        self.hosts = hosts
        self.scheme = scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        app: ASGIApp = PlainTextResponse(refusal, status_code=403) if refusal else self.app
        await app(scope, receive, answer)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if self.hosts is not None and host not in self.hosts:
            return "not this host"
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if site in ("cross-site", "same-site") and not (method == "GET" and mode == "navigate"):
            return "not from another site"
        if method not in ("GET", "HEAD", "POST"):
            return "no such method"
        if method == "POST" and headers.get("origin") != f"{self.scheme}://{host}":
            return "not from another origin"
        if method == "POST" and not _is_small(headers.get("content-length")):
            return "too much"
        return None

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self.scheme == "https":
            headers["Strict-Transport-Security"] = "max-age=31536000"


def _is_small(length: str | None) -> bool:
    """The length must be told, so that no endless body is read."""
    return length is not None and length.isdigit() and int(length) <= LARGEST_BODY
