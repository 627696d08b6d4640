# echo-node: begin with `make demo` and `make test`; `make help` lists all targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first Python of 3.11 or newer. Another: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get

# PyTorch is installed first, so that installing the package keeps the chosen build. On a machine
# without an NVIDIA GPU, TORCH_INDEX can name PyTorch's index of CPU wheels, a tenth of the size:
# make demo TORCH_INDEX=...
TORCH ?= torch==2.13.0
TORCH_INDEX ?=

# What the tests run besides Python. Services that Debian starts on installation are not needed.
TOOLS := orthanc orthanc-dicomweb orthanc-gdcm dcmtk dicom3tools libpixelmed-java default-jre-headless \
	libsaxonhe-java libxalan2-java postgresql strace poppler-utils openssl fonts-dejavu-core fonts-noto-cjk libfribidi0

PYTEST_ARGS ?=
ABLATIONS ?=
FAULTS ?=
SPOIL ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 15

.PHONY: demo
demo: $(VENV)/.node ## Push a study to a node on this machine and show the draft (ONCE=1 ends after it)
	@exec $(BIN)/echo-node demo $(if $(ONCE),--once)

# The tests of a file run in one process. tests/conftest.py starts the files with slow tests first,
# so that no process runs alone at the end.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
TIMED = trap 'echo "make $@: $$((SECONDS / 60)) min $$((SECONDS % 60)) s"' EXIT

.PHONY: test
test: $(VENV)/.test tools ## Install what the tests need, and run them, except the long ones (10 minutes on two cores)
	@$(TIMED); $(PYTEST) -m 'not long' $(PYTEST_ARGS)

.PHONY: test-all
test-all: $(VENV)/.test tools ## Run all tests, the long ones too (20 minutes on two cores)
	@$(TIMED); $(PYTEST) $(PYTEST_ARGS)

.PHONY: faults
faults: $(VENV)/.test tools ## Break a node on purpose and audit it; resumes (half an hour; FAULTS="--restart", "--only burst --seed 7")
	@$(TIMED); cd tests && PYTHONPATH=. ../$(BIN)/python -m faults $(FAULTS)

.PHONY: spoil
spoil: $(VENV)/.test tools ## Draft from malformed headers: in one process, by the command, on the wire; resumes (SPOIL="--restart")
	@$(TIMED); cd tests && PYTHONPATH=. ../$(BIN)/python -m spoil $(SPOIL)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types, layers, prose, and the rules of tests/rules/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/rules/prose.py --failing
	$(BIN)/python -m pytest -q -n 0 tests/rules

.PHONY: check
check: lint docs test ## Run everything that must pass before a commit

.PHONY: docs
docs: $(VENV)/.dev ## Build the documentation into site/; a dead link is an error
	$(BIN)/zensical build --strict

.PHONY: reference
reference: diagram ## Write the pages of docs/reference/ that are generated from the code
	$(BIN)/python docs/scripts/commands_reference.py --write
	$(BIN)/python docs/scripts/settings_reference.py --write
	$(BIN)/python docs/scripts/log_events_reference.py --write
	$(BIN)/python docs/scripts/python_reference.py --write
	$(BIN)/python docs/scripts/conformance_tables.py --write

.PHONY: diagram
diagram: $(VENV)/.node ## Draw and write the lifecycle of docs/reference/lifecycle.md from the table of transitions
	$(BIN)/python docs/scripts/lifecycle_diagram.py --write
	$(BIN)/python docs/scripts/lifecycle_table.py --write

.PHONY: compatibility
compatibility: $(VENV)/.test ## Write docs/reference/compatibility.md: the result for each of pydicom's test files
	$(BIN)/python docs/scripts/compatibility.py --write

.PHONY: figures
figures: $(VENV)/.dev ## Measure and draw the charts of docs/explanation/decoding.md (several minutes)
	$(BIN)/python docs/scripts/decoding_figures.py

.PHONY: pictures
pictures: $(VENV)/.dev ## Draw the forms of a draft for docs/reference/conformance.md (needs DCMTK, Chromium, poppler-utils)
	$(BIN)/python docs/scripts/form_pictures.py docs/images

# Two processes of one thread each are faster than one process of two threads, because a small
# network has little work for threads to share.
CORES := $(shell nproc 2>/dev/null || echo 1)
PROCESSES ?= $(shell echo $$(( $(CORES) < 2 ? 1 : 2 )))
WORDS := --set optimiser.batch=24 --set hardware.micro_batch=6
DISTIL := $(WORDS) --set hardware.rollout_batch=12

.PHONY: train-small
train-small: $(VENV)/.node ## Train a small model from nothing and evaluate it (an hour and a half on two cores)
	@train() { OMP_NUM_THREADS=$$(( $(CORES) / $(PROCESSES) )) \
		$(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m echo_node train "$$@" --set data.count=12000; }; \
	set -x; \
	train vision --recipe small-vision --set optimiser.steps=950; \
	train ar --recipe small-ar $(WORDS) --set optimiser.steps=400; \
	train rad --recipe small-rad $(WORDS) --set optimiser.steps=1050; \
	train dcd --recipe small-dcd $(DISTIL) --set optimiser.steps=360; \
	train dcd --recipe small-self $(DISTIL) --set optimiser.steps=400
	$(BIN)/echo-node evaluate --model runs/small-self --data phantom:512 --report runs/small-self/evaluation

.PHONY: view-check
view-check: $(VENV)/.test ## Train and measure the view check that ships with the package (minutes on one core; CT=cxr.nii.gz)
	$(BIN)/python -m training.view_check --pictures docs/images/view-check.png \
		--curve docs/images/view-check-operating-points.svg --page docs/explanation/view-check.md \
		$(if $(CT),--ct $(CT))

.PHONY: ablations
ablations: $(VENV)/.dev ## Check the paper's claims one by one on phantoms (long; ABLATIONS="--seeds 0,1,2 --only eos-term")
	$(BIN)/python -m training.ablations $(ABLATIONS)

.PHONY: wheel
wheel: $(VENV)/.test ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

.PHONY: tools
tools: ## Install the programs that the tests use (Debian packages)
	@missing=$$(for p in $(TOOLS); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; $(APT) update -q; $(APT) install -q -y --no-install-recommends $$missing; fi

.PHONY: clean
clean: ## Remove build products; the environment stays
	rm -rf dist build site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find echo_node training tests alembic -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; make demo PYTHON=/path/to/it"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(APT) update -q; $(APT) install -q -y python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: | $(VENV)/bin/python
	@$(BIN)/python -c 'import torch' 2>/dev/null \
		|| $(PIP) install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	@touch $@

$(VENV)/.node: pyproject.toml $(VENV)/.torch
	$(PIP) install -q -e .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.torch
	$(PIP) install -q -e '.[test]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	$(PIP) install -q -e '.[dev]'
	@touch $@
