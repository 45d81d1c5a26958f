PYTHON ?= python3
BIN := .venv/bin
OUT ?= demo

.PHONY: demo demo-tiny test test-slow lint docs clean

demo: .venv/ready
	$(BIN)/la-outcomes demo --out $(OUT)

demo-tiny: .venv/ready
	$(BIN)/la-outcomes demo --out $(OUT) --tiny

test: .venv/ready
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: .venv/ready
	$(BIN)/pytest -m slow

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/ready
	$(BIN)/python docs/_tools/build.py

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo build dist
