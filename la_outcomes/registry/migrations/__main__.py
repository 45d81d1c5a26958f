"""``python -m la_outcomes.registry.migrations``: print the tables as SQL, to start a migration from."""

from __future__ import annotations

from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.schema import table_statements

print(";\n\n".join(table_statements(load_dictionary())) + ";")
