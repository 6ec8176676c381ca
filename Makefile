# make demo: all the set-up, then the main job.  make test: all the set-up, then the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
CORES = $(shell nproc 2>/dev/null || echo 2)
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST = $(BIN)/python -m pytest -n $(CORES) --dist worksteal

.PHONY: demo test check slow chaos servers mail-servers bench screenshots clean

demo: .venv/.run
	$(BIN)/newsletter demo $(ARGS)

test: .venv/.dev system
	TEST_DATABASE=sqlite $(PYTEST) -m "not slow" $(ARGS)
	TEST_DATABASE=postgresql $(PYTEST) -m "not slow" $(ARGS)

slow: .venv/.dev system
	TEST_DATABASE=sqlite $(PYTEST) -m slow --ignore tests/real_servers $(ARGS)
	TEST_DATABASE=postgresql $(PYTEST) -m slow --ignore tests/real_servers $(ARGS)
	$(MAKE) servers

# Postfix, Exim and OpenSMTPD, unpacked and not installed; REAL_SERVERS=exim,aiosmtpd takes only these.
servers: .venv/.dev mail-servers
	$(PYTEST) -m slow tests/real_servers $(ARGS)

mail-servers:
	sh scripts/mail_servers.sh

chaos: .venv/.dev
	@status=0; for database in sqlite postgresql; do \
	  CHAOS_KILLS=$${CHAOS_KILLS:-30} TEST_DATABASE=$$database $(BIN)/python -m pytest -p no:xdist -m slow $(ARGS) tests/chaos || status=1; \
	done; exit $$status

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Beside smtp-source and a Postfix of its own, which needs root; BENCH="--quick" for a first look, --million for more.
bench: .venv/.dev
	sh scripts/system_packages.sh bench
	$(BIN)/python benchmarks/splice.py
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/public.py
	$(BIN)/python benchmarks/import_export.py
	$(BIN)/python benchmarks/send.py $(BENCH)

screenshots: .venv/.dev system
	$(BIN)/python scripts/screenshot_mails.py screenshots
	$(BIN)/python scripts/screenshot_pages.py screenshots

clean:
	rm -rf .venv screenshots dist build

.PHONY: system
system:
	sh scripts/system_packages.sh

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say where: make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev,postgresql,gunicorn]'
	touch $@ .venv/.run
