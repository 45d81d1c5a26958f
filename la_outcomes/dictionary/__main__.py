"""``python -m la_outcomes.dictionary``: write ``data_dictionary/README.md`` of this checkout."""

from __future__ import annotations

from la_outcomes.dictionary.load import dictionary_folder, load_dictionary
from la_outcomes.dictionary.page import render
from la_outcomes.shards import write_text_atomic

print(write_text_atomic(dictionary_folder() / "README.md", render(load_dictionary())))
