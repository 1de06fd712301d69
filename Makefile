# Everything a new machine needs is CPython 3.11, git, make and gcc; each target makes its own
# virtual environment from the locked requirements.
PYTHON ?= python3
BIN := .venv/bin
RUN := .venv/.run-installed
DEV := .venv/.dev-installed
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test check test-real soak faults bench bench-server bench-edge bench-outbox bench-flash bench-delivery bench-rules lock clean

demo: $(RUN)  ## the whole line on this machine; ONCE=1 stops after the table
	$(BIN)/compound-sim demo $(if $(ONCE),--once)

test: $(DEV)  ## every test that needs nothing but PyPI
	$(BIN)/python -m pytest -m "not real"

check: $(DEV)  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-real: $(DEV)  ## tests against independent parts; installs Debian packages
	bash tests/real/install-debian.sh
	$(BIN)/python -m pytest -m real tests/real

soak: $(DEV)  ## reads of misbehaving slaves, SOAK_READS of them; a month of outages, MONTH_DAYS
	SOAK_READS=$(or $(SOAK_READS),3000000) $(BIN)/python -m pytest -s tests/edge/torture
	MONTH_DAYS=$(or $(MONTH_DAYS),30) $(BIN)/python -m pytest -s tests/pipeline/test_month.py

# beside a server another package takes urllib3's name; an agent's machine has urllib3 itself
faults: $(DEV)  ## an agent through every network fault; writes the table of docs/faults.md
	$(PIP_INSTALL) --no-deps --upgrade --target .edge-http $(firstword $(shell grep ^urllib3== requirements/edge.txt))
	PYTHONPATH=.edge-http $(BIN)/python -m tests.faults

bench: $(DEV)  ## what it costs: fill, ingest, memory, processor time
	$(BIN)/python -m tests.bench

bench-server: $(DEV)  ## exact consumption at scale beside the plain ways; DAYS=365 for a year
	$(BIN)/python -m tests.bench.consumption

# needs gcc; the row beside collectd also needs Debian's collectd-core (apt-get install
# --no-install-recommends collectd-core; its service need not run)
bench-edge: $(DEV)  ## lines, meters, agents and a dead unit beside their limits; SOAK_MIN=30 for memory
	$(BIN)/python -m tests.bench.edge

bench-rules: $(DEV)  ## a judging pass over 1,000 meters × 30 rules, a year's backtest of 200 meters
	$(BIN)/python -m tests.bench.judging

bench-flash: $(DEV)  ## what the agent writes to its card a day; ROUNDS=8640 for a day's rounds
	$(BIN)/python -m tests.bench.flash

bench-outbox: $(DEV)  ## what the outbox writes, how fast a backlog goes; DAYS=3 for a shorter one
	$(BIN)/python -m tests.bench.outbox

bench-delivery: $(DEV)  ## what it costs to prove a year of deliveries
	$(BIN)/python -m tests.bench.delivery

lock: ## renew requirements/*.txt (versions and hashes, no addresses)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv==0.13.9
	for x in edge server sim dev; do $(LOCK) pyproject.toml --extra $$x -o requirements/$$x.txt; done
	$(LOCK) pyproject.toml --extra edge --extra server --extra sim -o requirements/run.txt
	echo 'setuptools>=80' | $(LOCK) - -o requirements/build.txt

LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-annotate

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(RUN): pyproject.toml requirements/run.txt requirements/build.txt | .venv/bin/python
	$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	$(PIP_INSTALL) --require-hashes -r requirements/build.txt
	$(PIP_INSTALL) --no-build-isolation --no-deps -e .
	touch $@

$(DEV): pyproject.toml requirements/dev.txt | .venv/bin/python
	$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	$(PIP_INSTALL) --no-build-isolation --no-deps -e .
	touch $@ $(RUN)

clean:
	rm -rf .venv .venv-lock .demo .bench .edge-http
