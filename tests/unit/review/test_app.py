"""The application over HTTP: who gets in, what is refused, what stands on the pages."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from review_study import measurement, scan_id
from starlette.testclient import TestClient

from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.ingest import ingest
from la_outcomes.review import app as application
from la_outcomes.review.app import Site, make_app
from la_outcomes.review.security import HEADERS
from la_outcomes.review.server import Serving, make_site
from la_outcomes.shards import sha256_json, write_shard

ORIGIN = {"origin": "http://127.0.0.1:8765"}


@pytest.fixture
def site(registry: Path) -> Site:
    return make_site(Serving(registry), 8765)


@pytest.fixture
def stranger(site: Site) -> Iterator[TestClient]:
    with TestClient(make_app(site), base_url="http://127.0.0.1:8765", follow_redirects=False) as client:
        yield client


@pytest.fixture
def anna(site: Site, stranger: TestClient) -> TestClient:
    answer = stranger.post("/enter", data={"secret": site.door.key, "name": "anna"}, headers=ORIGIN)
    assert answer.status_code == 303
    assert re.search("HttpOnly.*SameSite=strict", answer.headers["set-cookie"])
    return stranger


def csrf(site: Site, client: TestClient) -> dict[str, str]:
    session = site.door.session(client.cookies[site.cookie])
    assert session is not None
    return {**ORIGIN, "x-csrf-token": session.csrf}


def ref_of(site: Site, target: str) -> str:
    found = site.study.catalogue.ask("SELECT ref FROM item WHERE target_id = $target", {"target": target})
    return str(found[0]["ref"])


def shards(site: Site) -> list[Path]:
    return list(imports_folder(site.study.catalogue.registry).glob("shards/*"))


def test_strangers_see_nothing(site: Site, stranger: TestClient) -> None:
    ref = ref_of(site, measurement(0))
    for path in ("/", f"/case/{ref}", "/grades"):
        assert stranger.get(path).headers["location"] == "/enter"
    assert stranger.get(f"/images/case/{ref}/ct").status_code == 401
    assert (
        stranger.post("/decisions", json={"ref": ref, "decision": "accept"}, headers=ORIGIN).status_code
        == 401
    )
    assert site.door.key not in stranger.get("/enter").text
    assert stranger.get("/enter?key=guess").status_code == 200, "the key is asked for when a name is given"


def test_a_wrong_key_is_told_after_a_pause(
    site: Site, stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "WRONG_SECRET_SECONDS", 0.01)
    answer = stranger.post("/enter", data={"secret": "guess", "name": "anna"}, headers=ORIGIN)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_every_answer_has_the_headers(site: Site, anna: TestClient) -> None:
    ref = ref_of(site, measurement(0))
    paths = ("/", "/enter", f"/case/{ref}", "/static/review.js", "/nowhere", f"/images/case/{ref}/masks")
    for answer in [anna.get(path) for path in paths]:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert anna.get("/").headers["cache-control"] == "no-store"


def test_pages_need_nothing_inline_and_nothing_from_elsewhere(site: Site, anna: TestClient) -> None:
    ref = ref_of(site, measurement(0))
    for path in ("/", f"/case/{ref}", "/grades", "/enter"):
        text = anna.get(path).text
        assert not re.search(r"\son\w+=|\sstyle=|<style|https?://", text), path
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1:80"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_foreign_requests_are_refused(anna: TestClient, headers: dict[str, str]) -> None:
    assert anna.get("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"x-csrf-token": "guess"}, 401),
        ({"x-csrf-token": ""}, 401),
    ],
)
def test_nothing_is_written_for_another_page(
    site: Site, anna: TestClient, changed: dict[str, str], status: int
) -> None:
    said = {"ref": ref_of(site, measurement(0)), "decision": "accept"}
    assert anna.post("/decisions", json=said, headers=csrf(site, anna) | changed).status_code == status
    assert not shards(site)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"ref": "x", "decision": "accept"}', 404), (b"x" * 30_000, 403)],
)
def test_faulty_bodies(site: Site, anna: TestClient, body: bytes, status: int) -> None:
    assert anna.post("/decisions", content=body, headers=csrf(site, anna)).status_code == status
    assert anna.put("/decisions", content=b"", headers=csrf(site, anna)).status_code == 403
    assert not shards(site)


def test_a_decision_is_on_the_disk_before_the_answer_and_the_next_case_is_named(
    site: Site, anna: TestClient
) -> None:
    ref = ref_of(site, measurement(0))
    said = {"ref": ref, "decision": "reject", "reason": "LA missed", "comment": "small"}
    answer = anna.post("/decisions?kind=la_measurement", json=said, headers=csrf(site, anna))
    (shard,) = shards(site)
    assert json.loads(shard.read_text())["rows"]["qc_reviews"][0]["reason"] == "LA missed"
    following = re.fullmatch(r"/case/(\w{16})\?kind=la_measurement", answer.json()["next"])
    assert following
    assert following[1] != ref
    assert anna.post("/undo/case?kind=la_measurement", json={}, headers=csrf(site, anna)).json() == {
        "next": f"/case/{ref}?kind=la_measurement"
    }
    assert len(shards(site)) == 2
    assert anna.post("/undo/case", json={}, headers=csrf(site, anna)).json() == {"next": None}


def test_whatever_is_typed_is_shown_as_text(site: Site, anna: TestClient) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    ref = ref_of(site, measurement(0))
    said = {"ref": ref, "decision": "unsure", "comment": evil}
    assert anna.post("/decisions", json=said, headers=csrf(site, anna)).status_code == 200
    pages = [anna.get(f"/case/{ref}", params={"text": evil}).text, anna.get("/", params={"text": evil}).text]
    pages.append(anna.get("/enter", params={"key": evil}).text)
    for text in pages:
        assert "<img" not in text
    assert "&lt;img" in pages[0]


def test_names_from_outside_are_escaped(registry: Path) -> None:
    evil = '"><img src=x>'
    rows = {"patients": [{"patient_id": "p0000", "site": evil}], "runs": []}
    write_shard(
        registry.parent / "more", kind="x", case_id="x", key=sha256_json(evil), status="done", rows=rows
    )
    assert not ingest([registry.parent], registry).faults
    site = make_site(Serving(registry), 8765)
    with TestClient(make_app(site), base_url="http://127.0.0.1:8765") as client:
        client.post("/enter", data={"secret": site.door.key, "name": "anna"}, headers=ORIGIN)
        text = client.get(f"/case/{ref_of(site, measurement(0))}").text
    assert "<img" not in text
    assert "&#34;&gt;&lt;img" in text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/images/case/../../ct",
        "/images/case/0000000000000000/ct", "/images/other/0000000000000000/ct", "/case/nothing", "/undo/all",
    ],
)  # fmt: skip
def test_no_other_paths(anna: TestClient, path: str) -> None:
    assert anna.get(path).status_code in (404, 405)


def read_block(content: bytes) -> tuple[dict[str, Any], Any]:
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    values = np.frombuffer(content[4 + length :], header["dtype"])
    return header, values.reshape(-1, *header["shape"][1:])


@pytest.mark.parametrize("part", ["ct", "masks", "flair"])
def test_blocks_make_up_the_volume(
    site: Site, anna: TestClient, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "BLOCK_BYTES", 100_000)
    address = f"/images/case/{ref_of(site, measurement(0))}/{part}"
    header, first = read_block(anna.get(address).content)
    assert header["from"] <= header["best"] < header["from"] + header["block"]
    assert header["block"] < header["shape"][0]
    blocks = [
        read_block(anna.get(f"{address}?from={start}").content)[1]
        for start in range(0, header["shape"][0], header["block"])
    ]
    whole = np.concatenate(blocks)
    assert list(whole.shape) == header["shape"]
    np.testing.assert_array_equal(whole[header["from"] : header["from"] + len(first)], first)
    assert anna.get(f"{address}?warm").status_code == 204


def test_grading_shows_neither_masks_nor_volumes_nor_figures(site: Site, anna: TestClient) -> None:
    ref = re.search(r"/grade/(\w{16})", anna.get("/grades").text)
    assert ref
    pages = anna.get("/grades").text + anna.get(f"/grade/{ref[1]}").text
    assert not re.search(r"\bmL\b|correlation|Dice|prediction", pages)
    (volumes,) = site.study.catalogue.ask("SELECT list(la_volume_ml) AS v FROM item", {})
    assert not any(f"{volume:.1f}" in pages for volume in volumes["v"] if volume is not None)
    assert anna.get(f"/images/scan/{ref[1]}/ct").status_code == 200
    for part in ("masks", "flair"):
        assert anna.get(f"/images/scan/{ref[1]}/{part}").status_code == 404


def test_a_grade_goes_to_the_next_scan(site: Site, anna: TestClient) -> None:
    refs = re.findall(r'data-href="/grade/(\w{16})', anna.get("/grades").text)
    said = {"ref": refs[0], "fazekas_periventricular": 3, "fazekas_deep": 0}
    answer = anna.post("/gradings?modality=CT", json=said, headers=csrf(site, anna))
    assert answer.json()["next"] == f"/grade/{refs[1]}?modality=CT"
    bad = anna.post("/gradings", json=said | {"fazekas_deep": 9}, headers=csrf(site, anna))
    assert bad.status_code == 400
    assert "0 to 3" in bad.json()["error"]


def test_a_changed_file_is_told_and_not_shown(site: Site, anna: TestClient) -> None:
    study = site.study.catalogue.registry.parent
    (study / "results/masks/m.nii.gz").write_bytes((study / "labels/labels/l.nii.gz").read_bytes())
    answer = anna.get(f"/images/case/{ref_of(site, measurement(0))}/ct")
    assert answer.status_code == 400
    assert "changed after it was recorded" in answer.json()["error"]
    assert anna.get(f"/images/case/{ref_of(site, measurement(0))}/ct?warm").status_code == 204
    assert str(study) not in answer.text


def test_paths_and_files_are_on_no_page(site: Site, anna: TestClient) -> None:
    text = anna.get(f"/case/{ref_of(site, measurement(0))}").text + anna.get("/").text
    assert scan_id(0) in text
    assert ".nii" not in text
    assert "scans/" not in text


def test_adjudicators_alone_see_what_others_said(registry: Path) -> None:
    site = make_site(Serving(registry, adjudicator="boss"), 8765)
    ref, texts = ref_of(site, measurement(0)), {}
    for name in ("anna", "ben", "boss"):
        with TestClient(make_app(site), base_url="http://127.0.0.1:8765") as client:
            client.post("/enter", data={"secret": site.door.key, "name": name}, headers=ORIGIN)
            if name == "anna":
                said = {"ref": ref, "decision": "reject", "reason": "LA missed", "comment": "seen by me"}
                assert client.post("/decisions", json=said, headers=csrf(site, client)).status_code == 200
            texts[name] = client.get(f"/case/{ref}").text
    assert [("seen by me" in texts[name]) for name in ("anna", "ben", "boss")] == [True, False, True]


def test_over_tls_cookies_are_secure_and_tokens_are_asked_for(site: Site) -> None:
    door = replace(site.door, tokens={"anna": "a" * 16})
    far = replace(site, scheme="https", hosts=None, door=door)
    with TestClient(make_app(far), base_url="https://reviews.example", follow_redirects=False) as client:
        assert "Your token" in client.get("/enter").text
        origin = {"origin": "https://reviews.example"}
        answer = client.post("/enter", data={"secret": "a" * 16}, headers=origin)
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert "anna" in client.get("/").text
