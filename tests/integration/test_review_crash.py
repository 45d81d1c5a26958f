"""The server killed at random moments: what it answered for is on the disk, and nothing is half-written."""

from __future__ import annotations

import http.client
import random
import threading
from pathlib import Path

import pytest
from review_server import Client, Server, ingest
from review_study import make_list

from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.query import ask
from la_outcomes.shards import read_shard


def decide_until_it_dies(client: Client, kept: list[str], sent: list[str]) -> None:
    for ref in client.refs:
        try:
            sent.append(ref)
            if client.decide(ref, "reject", reason="LA missed", comment=ref):
                kept.append(ref)
        except (OSError, http.client.HTTPException):
            return


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_killed_in_the_middle_nothing_that_was_answered_is_lost(tmp_path: Path, seed: int) -> None:
    registry = make_list(tmp_path, 60)
    server = Server(registry)
    reviewers = [Client(server, name) for name in ("anna", "ben")]
    kept: dict[str, list[str]] = {"0": [], "1": []}
    sent: dict[str, list[str]] = {"0": [], "1": []}
    threads = [
        threading.Thread(target=decide_until_it_dies, args=(client, kept[str(i)], sent[str(i)]))
        for i, client in enumerate(reviewers)
    ]
    killer = threading.Timer(random.Random(seed).uniform(0.3, 1.2), server.kill)
    for thread in [*threads, killer]:
        thread.start()
    for thread in [*threads, killer]:
        thread.join()
    for path in imports_folder(registry).glob("shards/*.json"):
        read_shard(path)
    ingest(registry)
    with ask(registry, "SELECT reviewer, comment FROM qc_reviews") as answer:
        found = answer.fetchall()
    assert len(found) == len(set(found)), "nothing twice"
    for i, name in enumerate(("anna", "ben")):
        stored = {comment for reviewer, comment in found if reviewer == name}
        assert kept[str(i)], "the server answered before it died"
        assert set(kept[str(i)]) <= stored <= set(sent[str(i)])


def test_the_page_goes_on_while_another_process_ingests(tmp_path: Path) -> None:
    registry = make_list(tmp_path, 60)
    server = Server(registry)
    try:
        client = Client(server, "anna")
        for ref in client.refs[:20]:
            assert client.decide(ref, "accept")
        writer = threading.Thread(target=ingest, args=(registry,))
        writer.start()
        for ref in client.refs[20:40]:
            assert client.decide(ref, "accept")
        writer.join()
        ingest(registry)
        assert server.stop() in (0, 130)
    finally:
        server.process.kill()
    with ask(registry, "SELECT count(*) FROM reviewer_decision") as answer:
        assert answer.fetchall() == [(40,)]
