"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# a slow example on a busy machine is no failure; laws of a dozen modules must stay quick
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")
