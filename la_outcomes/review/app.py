"""The web application: addresses, sessions, pages and data."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from la_outcomes.errors import InputError, LaOutcomesError
from la_outcomes.review import pages
from la_outcomes.review.case import Study
from la_outcomes.review.desk import Desk
from la_outcomes.review.grades import GradeQuery
from la_outcomes.review.images import CaseFiles, Shown
from la_outcomes.review.records import Recorder
from la_outcomes.review.security import Guard
from la_outcomes.review.sessions import Door, Session
from la_outcomes.review.worklist import Query

BLOCK_BYTES = 4_000_000
WRONG_SECRET_SECONDS = 1.0
_PARTS = ("ct", "flair", "masks")


@dataclass(frozen=True)
class Site:
    """Everything the addresses need; ``hosts`` None lets any Host header pass."""

    study: Study
    recorder: Recorder
    door: Door
    resample: float
    hosts: frozenset[str] | None
    scheme: str
    cookie: str

    def session(self, request: Request) -> Session:
        """The session of a request; 401 where there is none."""
        found = self.door.session(request.cookies.get(self.cookie))
        if found is None:
            raise HTTPException(401)
        return found

    def desk(self, request: Request) -> Desk:
        """The reader's desk, with the catalogue up to date."""
        session = self.session(request)
        self.study.catalogue.refresh()
        return Desk(self.study, self.recorder, session.reader, self.resample)


def make_app(site: Site) -> Starlette:
    """The application as ASGI."""

    def bound(handler: Callable[[Site, Request], Any]) -> Callable[[Request], Any]:
        if asyncio.iscoroutinefunction(handler):

            async def later(request: Request) -> Response:
                answer: Response = await handler(site, request)
                return answer

            return later

        def now(request: Request) -> Response:
            answer: Response = handler(site, request)
            return answer

        return now

    routes = [
        Route("/enter", bound(enter_page)),
        Route("/enter", bound(enter), methods=["POST"]),
        Route("/leave", bound(leave), methods=["POST"]),
        Route("/", bound(list_page)),
        Route("/case/{ref}", bound(case_page)),
        Route("/grades", bound(grades_page)),
        Route("/grade/{ref}", bound(grade_page)),
        Route("/images/{what}/{ref}/{part}", bound(images)),
        Route("/decisions", bound(decide), methods=["POST"]),
        Route("/gradings", bound(grade), methods=["POST"]),
        Route("/undo/{what}", bound(take_back), methods=["POST"]),
        Mount("/static", StaticFiles(directory=str(files("la_outcomes.review").joinpath("static")))),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=site.hosts, scheme=site.scheme)],
        exception_handlers={HTTPException: _refused, LaOutcomesError: _explained},
    )


async def _refused(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    if _wants_data(request):
        return JSONResponse({"error": "open the page again" if code == 401 else "not found"}, code)
    if code == 401:
        return RedirectResponse("/enter", status_code=303)
    return pages.problem("There is no such page.", code)


async def _explained(request: Request, error: Exception) -> Response:
    """An error of ours: its sentence and hint, never the place, which may name a file."""
    assert isinstance(error, LaOutcomesError)
    code = 400 if isinstance(error, InputError) else 503
    text = error.what + (f" ({error.hint})" if error.hint else "")
    return JSONResponse({"error": text}, code) if _wants_data(request) else pages.problem(text, code)


def _wants_data(request: Request) -> bool:
    return request.url.path.startswith(("/images/", "/decisions", "/gradings", "/undo"))


def enter_page(site: Site, request: Request) -> Response:
    """Where a reader says who they are."""
    return pages.enter(site.door, request.query_params.get("key", ""))


async def enter(site: Site, request: Request) -> Response:
    """Open a session; a wrong secret costs a second."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=5)
    secret, name = (form.get(field, [""])[0] for field in ("secret", "name"))
    try:
        cookie, _ = site.door.enter(secret, name)
    except InputError as error:
        await asyncio.sleep(WRONG_SECRET_SECONDS)
        return pages.enter(site.door, secret if site.door.tokens is None else "", error.what)
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        site.cookie, cookie, httponly=True, samesite="strict", secure=site.scheme == "https", path="/"
    )
    return answer


async def leave(site: Site, request: Request) -> Response:
    """End the session, so that another reader can sit down."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=5)
    if form.get("csrf", [""])[0] == site.session(request).csrf:
        site.door.leave(request.cookies.get(site.cookie))
    return pages.left(site.door)


def list_page(site: Site, request: Request) -> Response:
    """The work list."""
    desk = site.desk(request)
    return pages.worklist(site.session(request), desk, Query.of(request.query_params))


def case_page(site: Site, request: Request) -> Response:
    """One label or segmentation."""
    desk = site.desk(request)
    item = _found(desk.worklist.item(request.path_params["ref"]))
    return pages.case(site.session(request), desk, item, Query.of(request.query_params))


def grades_page(site: Site, request: Request) -> Response:
    """The scans to grade."""
    return pages.gradelist(site.session(request), site.desk(request), GradeQuery.of(request.query_params))


def grade_page(site: Site, request: Request) -> Response:
    """One scan to grade, without anything that was measured on it."""
    desk = site.desk(request)
    scan = _found(desk.gradelist.scan(request.path_params["ref"]))
    return pages.grade(site.session(request), desk, scan, GradeQuery.of(request.query_params))


def images(site: Site, request: Request) -> Response:
    """A block of slices; ``from`` is the first, ``warm`` only reads the case so that it opens at once."""
    desk, ref, part = site.desk(request), request.path_params["ref"], request.path_params["part"]
    if "warm" in request.query_params:
        with suppress(InputError):  # told when the case is opened
            site.study.shown(_files(desk, request.path_params["what"], ref, part), part)
        return Response(status_code=204)
    shown = site.study.shown(_files(desk, request.path_params["what"], ref, part), part)
    first = request.query_params.get("from", "")
    return _block(shown, int(first) if first.isascii() and first.isdigit() else None)


def _files(desk: Desk, what: str, ref: str, part: str) -> CaseFiles:
    if part not in _PARTS:
        raise HTTPException(404)
    if what == "case":
        return desk.study.case_files(_found(desk.worklist.item(ref)))
    if what == "scan" and part == "ct":
        return desk.study.plain_files(_found(desk.gradelist.scan(ref))["scan_id"])
    raise HTTPException(404)


def _block(shown: Shown, first: int | None) -> Response:
    """Length of the header, header (JSON), then slices as bytes; those shown first where none is given."""
    n, one = shown.data.shape[0], max(1, shown.data[0].nbytes)
    size = max(1, BLOCK_BYTES // one)
    block = min(shown.header["best"] if first is None else first, n - 1) // size * size
    part = shown.data[block : block + size]
    header = json.dumps({**shown.header, "from": block, "block": size, "dtype": part.dtype.name}).encode()
    header += b" " * (-len(header) % 4)
    body = struct.pack("<I", len(header)) + header + part.tobytes()
    answer = Response(body, media_type="application/octet-stream")
    if part.dtype == "uint8":
        answer = Response(gzip.compress(body, 1), media_type="application/octet-stream")
        answer.headers["Content-Encoding"] = "gzip"
    return answer


async def decide(site: Site, request: Request) -> Response:
    """Record a decision; the answer comes when it is on the disk."""
    said = await _said(site, request)

    def work() -> Response:
        desk = site.desk(request)
        item = _found(desk.worklist.item(str(said.get("ref"))))
        desk.decide(item, said)
        query = Query.of(request.query_params)
        _, following = desk.worklist.neighbours(query, item)
        return JSONResponse({"next": _next("/case", following, "/", query.address())})

    return await run_in_threadpool(work)


async def grade(site: Site, request: Request) -> Response:
    """Record a grading; the answer comes when it is on the disk."""
    said = await _said(site, request)

    def work() -> Response:
        desk = site.desk(request)
        scan = _found(desk.gradelist.scan(str(said.get("ref"))))
        desk.grade(scan["scan_id"], said)
        query = GradeQuery.of(request.query_params)
        _, following = desk.gradelist.neighbours(query, scan)
        return JSONResponse({"next": _next("/grade", following, "/grades", query.address())})

    return await run_in_threadpool(work)


async def take_back(site: Site, request: Request) -> Response:
    """Take the reader's last decision or grading back and name its case."""
    await _said(site, request)
    what = request.path_params["what"]
    if what not in ("case", "grade"):
        raise HTTPException(404)

    def work() -> Response:
        desk = site.desk(request)
        ref = desk.take_back_decision() if what == "case" else desk.take_back_grade()
        query = str(request.url.query)
        return JSONResponse({"next": f"/{what}/{ref}?{query}" if ref else None})

    return await run_in_threadpool(work)


def _next(case: str, ref: str | None, home: str, query: str) -> str:
    return f"{case}/{ref}?{query}" if ref else f"{home}?{query}"


async def _said(site: Site, request: Request) -> dict[str, Any]:
    """The JSON object of a POST, from the session's own page."""
    if request.headers.get("x-csrf-token") != site.session(request).csrf:
        raise HTTPException(401)
    try:
        said = json.loads(await request.body())
    except ValueError as error:
        raise InputError("not JSON") from error
    if not isinstance(said, dict):
        raise InputError("a JSON object is expected")
    return said


def _found(row: Any) -> Any:
    if row is None:
        raise HTTPException(404)
    return row
