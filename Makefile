# `make run` and `make test` are all a newcomer needs; each target makes what it stands on.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NAME ?=
CELL ?=
ARGS ?=

.PHONY: help run test check conformance mutations bench chaos
.DEFAULT_GOAL := help

help:
	@echo "make run               serve the example on http://127.0.0.1:8000 (PORT=8080 make run for another port)"
	@echo "make test              run every test; parts that need a service run where it answers"
	@echo "make check             lint, formatting and types"
	@echo "make conformance       FastAPI's own tests with every application accelerated; a few minutes"
	@echo "make mutations         break turbo on purpose, and see that a test notices; see docs/turbo-mutations.md"
	@echo "make bench NAME=startup   one benchmark; the names are the files in benchmarks/"
	@echo "make chaos CELL=data      what is promised, tried while things break; see docs/chaos.md"

run: $(INSTALLED)
	@scripts/run

# Most tests wait for servers and databases: two at a time take little more than half the time of one.
test: $(INSTALLED)
	$(BIN)/pytest --numprocesses 2 --dist worksteal
	cd examples/tube && ../../$(BIN)/pytest

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check src tests examples benchmarks scripts
	$(BIN)/mypy

conformance: $(INSTALLED)
	@$(BIN)/python scripts/conformance.py

mutations: $(INSTALLED)
	@$(BIN)/python scripts/mutate_turbo.py $(ARGS)

bench: $(INSTALLED)
	@test -f "benchmarks/$(NAME).py" || { echo "Which one? make bench NAME=..., one of:" $$(ls benchmarks | sed -n 's/\.py$$//p'); exit 2; }
	$(BIN)/python benchmarks/$(NAME).py

chaos: $(INSTALLED)
	@PYTHONPATH=benchmarks $(BIN)/python -m chaos --cell "$(CELL)" $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt scripts/install scripts/find-python
	@scripts/install $(VENV)
