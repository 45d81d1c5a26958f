"""``python -m la_outcomes.registry.migrations [TABLE]``: print SQL to start a migration from.

Without a table all tables are printed; with one the statements that rebuild it as the dictionary says, which
is how a check or a key is added.
"""

from __future__ import annotations

import sys

from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import LaOutcomesError
from la_outcomes.registry.schema import rebuild_statements, table_statements

try:
    dictionary = load_dictionary()
    wanted = sys.argv[1:]
    statements = rebuild_statements(dictionary, wanted[0]) if wanted else table_statements(dictionary)
except LaOutcomesError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
print(";\n\n".join(statements) + ";")
