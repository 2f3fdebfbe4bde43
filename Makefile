# The two commands of the README, and what they need. A fresh machine has Debian, Python 3.11, make.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
DEFINITIONS = profiles/packages/hl7.fhir.r4.core-4.0.1.tgz
DEMO ?=
BENCH ?=
CASES ?= --names
FUZZ ?=

.PHONY: demo test bench validator-cases fuzz install format lock clean

demo: install  ## start a server, push samples through every feed, print the record, go on serving
	$(BIN)/fhirserver demo $(DEMO)

test: install  ## everything the project checks
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/pytest

bench: install  ## measure servers of its own; writes benchmarks/results.md, feed.md and cda.md
	$(BIN)/python -m benchmarks.run $(BENCH)
	$(BIN)/python -m benchmarks.feed
	$(BIN)/python -m benchmarks.cda

validator-cases: install  ## agreement with the official validator on a copy of FHIR/fhir-test-cases
	$(BIN)/python -m benchmarks.validator_cases $(CASES)

install: $(VENV)/installed $(DEFINITIONS)

$(VENV)/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed (PYTHON=...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[embedded,dev]'
	@touch $@

$(DEFINITIONS): | $(VENV)/installed
	$(BIN)/fhirserver definitions

fuzz: install  ## map 100,000 mutated HL7v2 messages: no crash, none longer than a second
	$(BIN)/python -m tests.fuzz $(FUZZ)

format:
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: $(VENV)/installed  ## write down the versions of everything that is installed
	$(BIN)/pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf $(VENV) .cache data
