"""A PACS in this process, on loopback: C-FIND, C-GET and C-STORE over what it was given, by pynetdicom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)


class SmallPacs:
    """Holds images by SOP instance UID; ``drop_after`` breaks a C-GET off after so many images, once."""

    def __init__(self) -> None:
        self.images: dict[str, Dataset] = {}
        self.port = 0
        self.n_gets = 0
        self.drop_after: int | None = None
        self.refuse_with: int | None = None

    def take(self, images: list[Dataset]) -> None:
        self.images |= {one.SOPInstanceUID: one for one in images}

    def store(self, event: Any) -> int:
        if self.refuse_with is not None:
            return self.refuse_with
        one = event.dataset
        one.file_meta = event.file_meta
        self.take([one])
        return 0

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        name = "StudyInstanceUID" if query.QueryRetrieveLevel == "STUDY" else "SeriesInstanceUID"
        groups: dict[str, list[Dataset]] = {}
        for one in self._matching(query):
            groups.setdefault(one[name].value, []).append(one)
        for members in groups.values():
            answer = Dataset()
            answer.QueryRetrieveLevel = query.QueryRetrieveLevel
            for key in ("StudyInstanceUID", "SeriesInstanceUID", "Modality"):
                setattr(answer, key, members[0][key].value)
            answer.NumberOfSeriesRelatedInstances = str(len(members))
            yield 0xFF00, answer

    def get(self, event: Any) -> Iterator[Any]:
        self.n_gets += 1
        found = self._matching(event.identifier)
        yield len(found)
        for number, one in enumerate(found):
            if self.drop_after is not None and number == self.drop_after:
                self.drop_after = None
                event.assoc.abort()
                return
            yield 0xFF00, one

    def _matching(self, query: Dataset) -> list[Dataset]:
        names = ("StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber")
        asked = {name: query[name].value for name in names if query.get(name)}
        return [
            one
            for one in self.images.values()
            if all(one.get(name) == value for name, value in asked.items())
        ]


@contextmanager
def running_pacs() -> Iterator[SmallPacs]:
    """Start one on a free port of 127.0.0.1."""
    pacs, entity = SmallPacs(), AE(ae_title="SMALLPACS")
    for model in (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet):
        entity.add_supported_context(model)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_FIND, pacs.find), (evt.EVT_C_GET, pacs.get), (evt.EVT_C_STORE, pacs.store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    pacs.port = server.server_address[1]
    try:
        yield pacs
    finally:
        server.shutdown()
