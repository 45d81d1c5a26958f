"""The work behind the numbered scripts: one module a question."""
