"""Settings that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# a slow example on a busy machine is no failure; laws of a dozen modules must stay quick
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="session")
def _a_key_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pseudonyms of the tests come from a key of their own, never from the user's."""
    key: Path = tmp_path_factory.mktemp("key") / "pseudonyms.key"
    os.environ["LA_OUTCOMES_KEY_FILE"] = str(key)
    yield
    del os.environ["LA_OUTCOMES_KEY_FILE"]
