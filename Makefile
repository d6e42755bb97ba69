# Two commands are enough: `make demo` runs the main job, `make test` passes the tests.
# Needs git, make and Python 3.11+; everything else goes into .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Every run is a process of its own: without bytecode each would compile all libraries again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo dev test test-long test-torch check bench screenshots reference audit check-charts lock clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP) ## Make the virtual environment with the locked dependencies

$(STAMP): requirements.lock pyproject.toml analytics/quality/_loops.c inference/polygons/_contours.c
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 15) else "reefline needs Python 3.11 to 3.14; this is %d.%d. Try: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP) ## Run the main job end to end on a sample survey
	$(BIN)/reefline demo $(ARGS)

dev: $(STAMP) ## Open the Dagster UI with the demo's data in it
	$(BIN)/reefline up --sandbox --home demo/home --surveys demo/surveys

test: $(STAMP) ## Run the tests, side by side; one after the other: make test ARGS=-n0
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -m "not long" $(ARGS)

test-long: $(STAMP) ## Run the tests that take minutes each: storms, every process killed, restores on Postgres
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -m long $(ARGS)

test-torch: $(STAMP) ## Install the torch extra and run the tests that need it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[torch]'
	$(BIN)/python -m pytest -m torch $(ARGS)

check: $(STAMP) ## Lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## Run the benchmarks and write bench/results.json
	$(BIN)/python -m bench $(ARGS)

screenshots: $(STAMP) ## Take the README's pictures (needs Chromium)
	$(BIN)/python docs/screenshots.py

reference: $(STAMP) ## Write docs/reference anew from the code
	$(BIN)/python docs/reference.py

audit: $(STAMP) ## Known weaknesses of the locked packages, and a list of what is inside (build/sbom.cdx.json)
	@mkdir -p build
	$(BIN)/python deploy/docker/image_lock.py app > build/app.lock
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10' 'cyclonedx-bom>=7.5'
	build/audit/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.cdx.json build/app.lock
	build/audit/bin/pip-audit --require-hashes --disable-pip --requirement build/app.lock

check-charts: $(STAMP) ## Render the chart with Helm's library and hold it against Kubernetes' schemas
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'helm-python-sdk>=0.2.2' 'kubernetes-validate>=1.37' 'dagster-k8s==0.29.27'
	$(BIN)/python -m pytest tests/deploy/test_helm.py $(ARGS)

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra k8s --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --quiet -o requirements.lock

clean: ## Remove what make has made
	rm -rf $(VENV) demo build dist *.egg-info
