# What a developer, a user and CI call. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
RIVALS := .venv-bench
RIVALS_READY := $(RIVALS)/.ready
BROKER := infra/broker
JARS := $(BROKER)/target/.ready
COMPOSE := docker-compose.yml
PROMETHEUS := infra/prometheus/prometheus.yml
RULE_TESTS := $(wildcard infra/prometheus/tests/*.yml)
PORT ?= 9092
EXAMPLES ?= 1000000
WORKERS ?= 2
SBOM ?= build/sbom.json
PYTEST := $(BIN)/python -m pytest

# The matrices are small: more BLAS threads only wait for one another.
export OPENBLAS_NUM_THREADS := 1

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(READY) ## make .venv from the lock (Python 3.11 or 3.12, with venv)

$(LOCKED): requirements.lock
	@python=; \
	for name in python3.12 python3.11 python3 python; do \
	  if "$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	      >/dev/null 2>&1; then python=$$name; break; fi; \
	done; \
	if [[ -z $$python ]]; then \
	  echo "setup: no Python 3.11 or 3.12 with venv found (bytewax has wheels for these two only);" >&2; \
	  echo "       Debian 12: apt-get install python3 python3-venv" >&2; \
	  exit 1; \
	fi; \
	echo "setup: $$($$python --version) in $(VENV)"; \
	"$$python" -m venv --clear $(VENV)
	@# uv, which is in the lock, takes a tenth of pip's time; where it finds no packages pip does, by its own settings.
	@$(BIN)/python -m pip install --quiet --require-hashes -r <(sed -n '/^uv==/,/[^\]$$/p' requirements.lock)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock || \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: lock
lock: $(READY) ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --group dev pyproject.toml -o requirements.lock

.PHONY: sbom
sbom: $(READY) ## list all parts of the lock in build/sbom.json (CycloneDX)
	@mkdir -p $(dir $(SBOM))
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --of JSON -o $(SBOM) requirements.lock
	@echo "sbom: $(SBOM)"

.PHONY: fmt
fmt: $(READY) ## format the code and repair what ruff can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(READY) ## write anew all that is made from code and from records (tests hold them to it)
	for made in docs.make_settings docs.make_metrics infra.grafana infra.kubernetes \
	    benchmarks.alerts benchmarks.reliability benchmarks.pages; do \
	  $(BIN)/python -m $$made; \
	done

.PHONY: lint
lint: $(READY) ## ruff, mypy, import rules, what runs in containers, Prometheus, Grafana
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy oodl flows tests benchmarks infra docs conftest.py
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec $(COMPOSE)
	$(BIN)/hadolint infra/Dockerfile
	$(BIN)/python -m infra.kubernetes --check
	$(BIN)/python -m infra.grafana --check
	@if command -v promtool >/dev/null; then \
	  promtool check config $(PROMETHEUS) && promtool test rules $(RULE_TESTS); \
	elif [[ $${CI:-} == true ]]; then \
	  echo "lint: promtool not found (Debian: prometheus)" >&2; exit 1; \
	else \
	  echo "lint: $(PROMETHEUS) not checked, promtool not found (Debian: prometheus)"; \
	fi

.PHONY: unit
unit: $(READY) ## the tests that need no broker, with the examples in the code
	$(PYTEST) -q tests/oodl tests/bridges tests/flows tests/infra tests/docs oodl flows

.PHONY: test
test: $(READY) ## all tests; those on Apache Kafka need Java 17, Maven, openssl (WORKERS=2)
	$(PYTEST) -q -n $(WORKERS) --dist loadfile

.PHONY: fuzz
fuzz: $(READY) ## bad input by the million (EXAMPLES=1000000)
	OODL_FUZZ_EXAMPLES=$(EXAMPLES) $(PYTEST) -q -o timeout=0 tests/flows/test_fuzz.py

FAULTS ?= build/faults.json

.PHONY: fault
fault: $(READY) ## what the pipeline outlives: faults done to it on Apache Kafka, a quarter of an hour
	@mkdir -p $(dir $(FAULTS))
	FAULTS_RECORD=$(FAULTS) $(PYTEST) -q -m fault tests/fault

.PHONY: alerts
alerts: $(READY) ## what goes wrong is told by the right alert: Prometheus, Alertmanager, Apache Kafka; minutes
	$(PYTEST) -q -m alerts tests/stack

.PHONY: broker
broker: $(JARS) ## start Apache Kafka on 127.0.0.1:9092 (PORT=...), Ctrl-C ends it
	@$(BROKER)/start --port $(PORT) || (($$? == 130)) # Ctrl-C is how it ends

.PHONY: broker-jars
broker-jars: $(JARS)

$(JARS): $(BROKER)/pom.xml
	@command -v mvn >/dev/null || \
	  { echo "broker: mvn not found (Debian: apt-get install maven default-jre-headless)" >&2; exit 1; }
	@echo "broker: Apache Kafka by Maven, 44 MB, once"
	@rm -rf $(BROKER)/target/jars
	@mvn --quiet --batch-mode --strict-checksums --file $< package
	@touch $@

.PHONY: docs
docs: $(READY) ## the pages of docs/ as a site in build/docs; a broken link or a warning fails
	$(BIN)/sphinx-build -W --keep-going -n -q docs build/docs

.PHONY: demo
demo: $(READY) ## this host and a simulated fleet, live, nothing else needed (DEMO_SECONDS=60)
	@$(BIN)/oodl demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

.PHONY: pictures
pictures: $(JARS) ## draw the pictures of the commands anew, from real runs, two minutes
	$(BIN)/python -m docs.pictures.draw

# Rivals live apart: what is compared with is no part of what is installed.
$(RIVALS_READY): requirements.lock benchmarks/requirements.txt pyproject.toml | $(READY)
	@$(BIN)/python -m venv --clear $(RIVALS)
	@$(RIVALS)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(RIVALS)/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	@$(RIVALS)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv-%/.ready: benchmarks/requirements-%.txt | $(READY)
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet -r $<
	@touch $@

.PHONY: bench-pipeline
bench-pipeline: $(JARS) $(RIVALS_READY) .venv-quix/.ready .venv-faust/.ready ## the pipeline on Apache Kafka beside rivals, 15 minutes (ONLY=throughput,...)
	$(BIN)/python -m benchmarks.pipeline $(if $(ONLY),--only $(ONLY))
	$(RIVALS)/bin/python -m benchmarks.report

.PHONY: bench-learner
bench-learner: $(RIVALS_READY) ## the learner against rivals, about 30 minutes; writes benchmarks/results
	for question in recovery experiments cost decoding group_step state gaps drift limits steps real windows overlap; do \
	  $(RIVALS)/bin/python -m benchmarks.$$question; \
	done
	$(RIVALS)/bin/python -m benchmarks.report

.PHONY: soak
soak: $(JARS) $(RIVALS_READY) ## the faults with 200,000 readings each; memory over a million: an hour
	FAULT_TIMES=10 $(MAKE) fault FAULTS=benchmarks/results/faults_soak.json
	$(BIN)/python -m benchmarks.soak
	$(RIVALS)/bin/python -m benchmarks.report

.PHONY: release
release: $(READY) ## wheel and sdist of what is committed, in dist (docs/releasing.md)
	@PYTHON=$(BIN)/python infra/release/build dist

.PHONY: operation
operation: $(READY) ## commands, pages, containers and health on Apache Kafka, minutes (WORKERS=2)
	$(PYTEST) -q -n $(WORKERS) --dist loadfile -m operation tests/broker tests/fault

.PHONY: try-release
try-release: $(READY) ## install the wheel in an empty environment and run it there, minutes
	$(PYTEST) -q -m slow tests/release

.PHONY: check
check: ## what CI runs
	.ci/run

.PHONY: clean
clean: ## remove what was made here: environments, caches, the broker with its data
	rm -rf $(VENV) $(RIVALS) .venv-quix .venv-faust $(BROKER)/target build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
