# Everything a new machine needs is CPython 3.11, git, make and gcc; each target makes its own
# virtual environment from the locked requirements.
PYTHON ?= python3
BIN := .venv/bin
RUN := .venv/.run-installed
DEV := .venv/.dev-installed
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test check test-real soak bench bench-server bench-edge bench-flash bench-rules lock clean

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

soak: $(DEV)  ## reads of misbehaving slaves, SOAK_READS of them; a read may fail, but never lie
	SOAK_READS=$(or $(SOAK_READS),3000000) $(BIN)/python -m pytest -s tests/edge/torture

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
	rm -rf .venv .venv-lock .demo .bench
