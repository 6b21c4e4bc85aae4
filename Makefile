# `make demo` shows the house; `make test` checks everything. Each target sets up what it needs. ARGS= goes to what runs:
#   make demo ARGS=--once      make test ARGS="-k spool"      make bench ARGS=--help
.PHONY: help demo test check bench fault fuzz clean
.DEFAULT_GOAL := help

# Where it is set, each of the many processes of a test run would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=
BIN := .venv/bin
# That ARGS leave none of these tests is no failure.
NONE = || [ $$? -eq 5 ]
FAST = $(BIN)/pytest -m "not slow" -n 2 --dist worksteal $(ARGS) $(NONE)
STATIC = $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

help: ## say what the targets are
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

demo: ## a broker, the gateway and simulated cameras: http://localhost:8480
	@.ci/setup demo
	@$(BIN)/hearthlog demo $(ARGS)

test: ## every check and every test (under 20 minutes)
	@.ci/setup test
	$(STATIC)
	$(FAST)
	$(BIN)/pytest -m "slow and not alone" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS) $(NONE)
	$(BIN)/pytest -m alone $(ARGS) $(NONE)

check: ## lint, types, layers and the fast tests (under 2 minutes)
	@.ci/setup test
	$(STATIC)
	$(FAST)

bench: ## measure what the README quotes
	@.ci/setup test
	$(BIN)/python -m tests.bench $(ARGS)

fault: ## kills and simulated power cuts, sized by ARGS
	@.ci/setup test
	$(BIN)/python -m tests.fault $(ARGS)

fuzz: ## mutated bytes into the decoders, ARGS="--fuzz SECONDS", and the property tests with many examples
	@.ci/setup test
	$(BIN)/python -m tests.fault --only fuzz $(ARGS)
	$(BIN)/pytest --fuzz --timeout 0

clean: ## throw away what the set-up made
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis
