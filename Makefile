# Everything runs in .venv, which is made from the hash-pinned lock files by a pinned uv of our own in .tools.
# The locks are requirement files on purpose: a uv.lock would name the index it was made with.

UV_VERSION := 0.13.9
HOST ?= 127.0.0.1
PORT ?= 8000
UV := .tools/bin/uv
TOOLS := .tools/uv-$(UV_VERSION)
PYTHON := .venv/bin/python
DEVELOPERS := test quick lint format faults bench shapes cases
LOCK := $(if $(filter $(DEVELOPERS),$(MAKECMDGOALS)),requirements-dev.lock,requirements.lock)

.PHONY: run demo lock $(DEVELOPERS)
.DEFAULT_GOAL := run

run: .venv/$(LOCK)
	@exec $(PYTHON) manage.py run --host $(HOST) --port $(PORT) --with-parent $(ARGS)

demo: .venv/$(LOCK)
	@exec $(PYTHON) manage.py demo $(ARGS)

# Three on two cores, for much of it waits; in order, because what takes long comes first.
test: .venv/$(LOCK)
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# The inner loop: everything but browsers, journeys and what takes seconds each.
quick: .venv/$(LOCK)
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not browser" \
	  tests/portal tests/environments tests/releases $(ARGS)

lint: .venv/$(LOCK)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/djade --target-version 6.1 --check $$(git ls-files "templates/*.html")
	.venv/bin/djhtml --tabwidth 2 --check templates
	! LC_ALL=C.UTF-8 grep -rnE '^.{121,}' templates
	$(PYTHON) -m mypy portal environments releases
	.venv/bin/lint-imports
	$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

# Every script with a main(), one after the other; fails at the end if any did.
faults bench: .venv/$(LOCK)
	@failed=; for script in $$(grep -l '^def main' tests/$@/*.py); do \
	  module=$$(echo "$${script%.py}" | tr / .); echo "== $$module"; \
	  $(PYTHON) -m "$$module" || failed="$$failed $$module"; \
	done; [ -z "$$failed" ] || { echo "Failed:$$failed" >&2; exit 1; }

# Ships a release of every project shape, or of those that ARGS names, and prints one table.
shapes: .venv/$(LOCK)
	$(PYTHON) -m tests.shapes.shipping $(ARGS)

# Migrations as real repositories write them: case, what is right, what was reached. ARGS names some.
cases: .venv/$(LOCK)
	$(PYTHON) -m tests.cases.table $(ARGS)

# Puts Python and templates into the form that lint checks.
format: .venv/$(LOCK)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	-.venv/bin/djade --target-version 6.1 $$(git ls-files "templates/*.html")
	-.venv/bin/djhtml --tabwidth 2 templates

lock: $(TOOLS)
	$(UV) lock --quiet
	$(UV) export --quiet --frozen --no-emit-project --no-header --no-dev --output-file requirements.lock
	$(UV) export --quiet --frozen --no-emit-project --no-header --output-file requirements-dev.lock

# One stamp for each lock; installing one set unmakes the other's stamp, unless the larger set is there already.
.venv/requirements.lock: requirements.lock .python-version | .venv/pyvenv.cfg
	@[ -e .venv/requirements-dev.lock ] && [ .venv/requirements-dev.lock -nt requirements-dev.lock ] || \
	  $(UV) pip sync --quiet --require-hashes --compile-bytecode --python .venv $(notdir $@)
	@touch $@

.venv/requirements-dev.lock: requirements-dev.lock .python-version | .venv/pyvenv.cfg
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python .venv $(notdir $@)
	@touch $@

.venv/pyvenv.cfg: .python-version | $(TOOLS)
	@$(UV) venv --quiet --clear .venv

$(TOOLS):
	@python3 -c 'import ensurepip' 2>/dev/null || \
	  { echo "python3 lacks ensurepip: install it (Debian: apt-get install python3-venv), then run make again." >&2; exit 1; }
	@python3 -m venv .tools && .tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
