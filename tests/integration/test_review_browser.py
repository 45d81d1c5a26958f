"""The review page in a real headless Chromium: by mouse, by keyboard alone, two reviewers, 5,000 cases."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_server import Server, ingest
from review_study import make_list, make_study, measurement

from la_outcomes.registry.query import ask

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {1280: 800, 1920: 1080}

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
if not os.access(CHROMIUM, os.X_OK):
    pytest.skip("there is no /usr/bin/chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made"), 4)


@pytest.fixture
def study(made_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_study.parent, tmp_path / "study")) / made_study.name


@pytest.fixture
def server(study: Path) -> Iterator[Server]:
    started = Server(study)
    yield started
    started.kill()


@pytest.fixture(scope="module")
def reading(made_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server for tests that write nothing, with a mask drawn by a person for the first CT."""
    folder = tmp_path_factory.mktemp("reading") / "study"
    shutil.copytree(made_study.parent, folder)
    (folder / "reference").mkdir()
    shutil.copy(folder / "labels/labels/l.nii.gz", folder / "reference/p0000-ct.nii.gz")
    started = Server(folder / made_study.name, "--reference", str(folder / "reference"))
    yield started, folder / made_study.name
    started.kill()


class Reviewer:
    """A person at a window of their own; complaints of the browser fail the test."""

    def __init__(self, browser: Any, server: Server, name: str, width: int = 1280) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": SIZES[width]}, ignore_https_errors=True
        )
        self.page, self.complaints = self.context.new_page(), list[str]()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(server.address)
        self.page.wait_for_selector("form input:focus")
        self.page.keyboard.type(name)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("body[data-ready]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def opened(self, part: str = "data-opened") -> str:
        """Wait till the case is shown; its address."""
        self.page.wait_for_selector(f"body[{part}]", state="attached")
        return str(self.page.url)

    def after(self, *keys: str) -> str:
        """Press keys that lead to another page; its address."""
        before = self.page.url
        self.press(*keys)
        self.page.wait_for_url(lambda address: address != before)
        return str(self.page.url)

    def pixels(self, pane: str = "ct") -> list[int]:
        """Grey sum, count of red, of amber and of blue pixels of a pane."""
        self.page.wait_for_timeout(60)
        found: list[int] = self.page.evaluate(
            """pane => {
                const c = document.querySelector(`#pane-${pane} canvas`);
                const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                const n = [0, 0, 0, 0];
                for (let i = 0; i < d.length; i += 4) {
                    const [r, g, b] = [d[i], d[i + 1], d[i + 2]];
                    n[0] += g;
                    if (r > 120 && r - g > 60 && r - b > 60 && Math.abs(g - b) < 40) n[1]++;
                    if (r > 120 && g - b > 50 && r > g) n[2]++;
                    if (b > 120 && b - r > 60) n[3]++;
                }
                return n;
            }""",
            pane,
        )
        return found

    def overflows(self) -> bool:
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth > innerWidth"
                " || [...document.querySelectorAll('button, th, td, nav a')].some("
                "e => e.offsetParent && e.getBoundingClientRect().right > innerWidth + 1)"
            )
        )


def rows(registry: Path, sql: str) -> list[tuple[Any, ...]]:
    with ask(registry, sql) as answer:
        return answer.fetchall()


def test_by_mouse_from_the_list_to_the_registry(browser: Any, server: Server, study: Path) -> None:
    anna = Reviewer(browser, server, "anna")
    target = anna.page.locator("#rows tbody a").first.inner_text()
    anna.page.locator("#rows tbody tr").first.click()
    first = anna.opened()
    anna.page.click("button.reject")
    anna.page.click("text=infarct taken for LA")
    anna.page.wait_for_url(lambda address: address != first)
    anna.opened()
    anna.page.click("button.accept")
    anna.page.wait_for_url(lambda address: "/case/" in address)
    ingest(study)
    assert rows(study, "SELECT count(*) FROM qc_reviews") == [(2,)]
    (patient,) = rows(study, f"SELECT patient_id FROM scans WHERE scan_id = '{target}'")
    assert rows(
        study,
        f"SELECT la_volume_ml, not_measured_reason FROM analysis_cohort WHERE patient_id = '{patient[0]}'",
    ) == [(None, "rejected on review: infarct taken for LA")]
    anna.page.goto(f"{server.root}/?kind=la_measurement&state=reject")
    assert anna.page.locator("#rows tbody tr").count() == 1
    assert "infarct taken for LA" in anna.page.locator("#rows tbody tr").inner_text()
    assert anna.complaints == []


def test_by_keyboard_alone(browser: Any, server: Server, study: Path) -> None:
    anna = Reviewer(browser, server, "anna", 1920)
    anna.after("j", "Enter")
    first = anna.opened()
    anna.press("m")
    anna.page.keyboard.type("ar? left")
    anna.press("Escape", "u")
    second = anna.after("0")
    anna.opened()
    anna.press("r", "x")
    third = anna.after("6")
    anna.opened()
    anna.after("a")
    assert anna.after("z").partition("?")[0] == third.partition("?")[0]
    assert anna.page.locator(".standing").count() == 0
    anna.after("l")
    assert anna.after("2").endswith("kind=pseudo_label")
    anna.after("Enter")
    anna.opened("data-loaded")
    anna.after("r", "1")
    anna.page.goto(f"{server.root}/")
    anna.after("3")
    anna.after("Enter")
    anna.opened("data-loaded")
    anna.press("1", "Backspace", "2", "3")
    anna.after("Enter")
    ingest(study)
    said = rows(
        study,
        "SELECT decision, reason, comment FROM reviewer_decision WHERE target_kind <> 'scan'"
        " ORDER BY reviewed_at",
    )
    assert said == [
        ("unsure", None, "ar? left"),
        ("reject", "motion or metal artefact", None),
        ("reject", "coregistration is off", None),
    ]
    assert rows(study, "SELECT count(*) FROM reviewer_decision WHERE target_kind = 'scan'") == [(1,)]
    scores = "SELECT fazekas_periventricular, fazekas_deep, rater FROM fazekas_ratings"
    assert rows(study, scores) == [(2, 3, "anna")]
    assert len({first, second, third}) == 3
    assert anna.complaints == []


def test_what_the_pictures_show(browser: Any, reading: tuple[Server, Path]) -> None:
    server, study = reading
    anna = Reviewer(browser, server, "anna")
    ref = rows_of(study, measurement(0))
    anna.page.goto(f"{server.root}/case/{ref}")
    anna.opened("data-loaded")
    _, red, _, blue = anna.pixels()
    assert min(red, blue) > 50, "prediction and reference are outlined (the label lies under the reference)"
    anna.press("3")
    _, red, amber, blue = anna.pixels()
    assert min(red, amber) > 50
    assert blue == 0
    anna.page.keyboard.down("h")
    assert anna.pixels()[1:] == [0, 0, 0]
    anna.page.keyboard.up("h")
    assert anna.pixels()[1] > 50
    for _ in range(9):
        anna.press("-")
    assert anna.pixels()[1] == 0, "faded"
    windows = {key: (anna.press(key), anna.pixels()[0])[1] for key in "bso"}
    assert len(set(windows.values())) == 3
    anna.press("b")
    caption = anna.page.locator("#pane-ct figcaption")
    before = caption.inner_text()
    anna.press("ArrowUp")
    one_up = anna.pixels()[0]
    assert caption.inner_text() != before
    anna.page.hover("#pane-ct")
    anna.page.mouse.wheel(0, 60)
    anna.page.wait_for_timeout(100)
    assert caption.inner_text() == before
    assert anna.pixels()[0] != one_up
    ct_alone = anna.pixels()[0]
    anna.press("k")
    assert anna.pixels()[0] != ct_alone
    anna.press("d")
    assert anna.pixels("flair")[0] > 0
    assert anna.page.locator("#pane-ct").is_visible()
    anna.press("f")
    assert not anna.page.locator("#pane-ct").is_visible()
    assert anna.complaints == []


def rows_of(study: Path, target: str) -> str:
    """Reference of a case in addresses."""
    return str(rows(study, f"SELECT substr(sha256('la_measurement|{target}'), 1, 16)")[0][0])


def test_two_reviewers_at_once_keep_apart(browser: Any, server: Server, study: Path) -> None:
    anna, ben = (Reviewer(browser, server, name) for name in ("anna", "ben"))
    for reviewer in (anna, ben):
        reviewer.after("Enter")
        reviewer.opened()
    assert anna.page.url == ben.page.url
    anna.press("r")
    anna.after("3")
    ben.page.reload()
    ben.opened()
    assert ben.page.locator(".standing").count() == 0
    assert "rejected" not in ben.page.locator("aside.panel").inner_text()
    ben.after("a")
    anna.after("p")
    assert "LA missed" in anna.page.locator(".standing").inner_text()
    ben.after("z")
    ben.after("a")
    ingest(study)
    assert rows(study, "SELECT reviewer, decision FROM reviewer_decision ORDER BY 1") == [
        ("anna", "reject"),
        ("ben", "accept"),
    ]
    assert rows(study, "SELECT count(*) FROM qc_reviews") == [(4,)]


def test_five_thousand_cases_fit_the_window(browser: Any, tmp_path: Path) -> None:
    server = Server(make_list(tmp_path, 5000))
    try:
        for width in SIZES:
            anna = Reviewer(browser, server, "anna", width)
            assert "5,000 segmentations" in anna.page.locator("h1").inner_text()
            assert anna.page.locator("#rows tbody tr").count() == 50
            assert not anna.overflows()
            anna.after("]")
            anna.after("]")
            assert "page 3 of 100" in anna.page.locator(".pager").inner_text()
            anna.page.click(".facet a:has-text('training')")
            anna.page.wait_for_url(lambda address: "cohort=training" in address)
            assert "1,667 segmentations" in anna.page.locator("h1").inner_text()
            anna.press("/")
            anna.page.keyboard.type("p0003-")
            anna.after("Enter")
            assert anna.page.locator("#rows tbody tr").count() == 1
            assert anna.complaints == []
    finally:
        server.kill()


@pytest.mark.parametrize("width", SIZES)
def test_nothing_sticks_out(browser: Any, reading: tuple[Server, Path], width: int) -> None:
    server, _ = reading
    anna = Reviewer(browser, server, "anna", width)
    for path in ("/", "/?kind=pseudo_label", "/grades"):
        anna.page.goto(server.root + path)
        assert not anna.overflows(), path
        anna.after("Enter")
        anna.opened("data-loaded")
        if path != "/grades":
            anna.press("d", "r")
        assert not anna.overflows(), path
        inside = anna.page.evaluate("document.querySelector('#stage').getBoundingClientRect().height")
        assert inside > 0.6 * SIZES[width], "the picture has most of the window"


def test_killed_and_started_again_the_reader_is_told_and_nothing_is_lost(browser: Any, study: Path) -> None:
    server = Server(study)
    anna = Reviewer(browser, server, "anna")
    anna.after("Enter")
    anna.opened("data-warmed")
    anna.after("a")
    anna.opened("data-warmed")
    server.kill()
    anna.press("a")
    anna.page.wait_for_selector("#told.bad")
    assert "does not answer" in anna.page.locator("#told").inner_text()
    again = Server(study, port=server.port)
    try:
        anna.press("Enter")
        anna.page.wait_for_selector("#told:has-text('started anew')")
        ben = Reviewer(browser, again, "anna")
        assert "1 of 4 reviewed" in ben.page.locator(".progress").inner_text()
        ingest(study)
        assert rows(study, "SELECT count(*) FROM qc_reviews") == [(1,)]
    finally:
        again.kill()


def test_over_tls_with_a_token(browser: Any, study: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    key, certificate, tokens = (tmp_path / name for name in ("key.pem", "cert.pem", "tokens"))
    request = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    make = ["openssl", "req", *request, "-keyout"]
    subprocess.run([*make, str(key), "-out", str(certificate)], check=True, capture_output=True)
    tokens.write_text("anna 0123456789abcdef0123\n")
    tokens.chmod(0o600)
    options = ["--tokens", str(tokens), "--certfile", str(certificate), "--keyfile", str(key)]
    server = Server(study, *options)
    try:
        assert server.address == f"https://127.0.0.1:{server.port}/"
        anna = Reviewer(browser, server, "0123456789abcdef0123")
        assert anna.page.locator(".who").inner_text() == "anna"
        (cookie,) = anna.context.cookies()
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    finally:
        server.kill()
