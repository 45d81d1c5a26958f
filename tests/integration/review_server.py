"""The review page as a process of its own, and a client that needs no browser."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode, urlsplit

CALL = [sys.executable, "-c", "from la_outcomes.cli.main import main; main()"]


class Server:
    """``la-outcomes review`` on a free port (or the one given) of this machine."""

    def __init__(self, registry: Path, *options: str, port: int = 0) -> None:
        command = [*CALL, "review", "--registry", str(registry), "--port", str(port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().removeprefix("review page: ").strip()
        assert self.address.startswith("http"), "the page did not start"
        self.root = self.address.partition("/enter")[0].rstrip("/")
        self.port = urlsplit(self.root).port or 0

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


class Client:
    """A reviewer's decisions over HTTP, one at a time."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.cookie = server, ""
        form = urlencode({"secret": server.address.partition("key=")[2], "name": name})
        headers = self._ask("POST", "/enter", form)[1]
        self.cookie = headers["set-cookie"].partition(";")[0]
        text = self._ask("GET", "/", None)[2]
        self.csrf = re.findall('data-csrf="([^"]+)"', text)[0]
        self.refs = re.findall(r'data-href="/case/(\w{16})', text)

    def decide(self, ref: str, decision: str, **said: str) -> bool:
        """True once the server says that the decision is kept; errors of a dying server pass."""
        body = json.dumps({"ref": ref, "decision": decision, **said})
        return self._ask("POST", "/decisions", body)[0] == 200

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        headers = {"origin": self.server.root, "cookie": self.cookie}
        if self.cookie and method == "POST":
            headers["x-csrf-token"] = self.csrf
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        connection.close()
        return found


def ingest(registry: Path) -> None:
    """``la-outcomes ingest`` in a process of its own, as while the page is open."""
    imports = registry.with_name(f"{registry.stem}_imports")
    subprocess.run(
        [*CALL, "ingest", str(imports), "--registry", str(registry)], check=True, capture_output=True
    )
