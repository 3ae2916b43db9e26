# Two commands do everything on a new machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: run test check docs lock fuzz install install-dev format lint types bench mutation sample toxiproxy images clean help

run: install  ## install what the product needs and run the smoke suite
	$(BIN)/codeblue suite smoke

# Tests that need no running system share the processors; the others measure time, and run one by one.
test: install-dev  ## install what the tests need and run all of them
	status=0; \
	$(BIN)/python -m pytest -m "not live and not docker" --numprocesses auto || status=$$?; \
	$(BIN)/python -m pytest -m "live or docker" || status=$$?; \
	exit $$status

check: install-dev  ## format, lint, types, security, licences, known weaknesses of packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml .
	$(BIN)/pip-licenses --summary
	$(BIN)/python -m ci.audit

docs: install-dev  ## write the documentation as a site to build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open build/docs/index.html"

lock: install-dev  ## write requirements.txt and requirements-dev.txt again, with hashes
	for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --custom-compile-command "make lock" $$name.in --output-file $$name.txt || exit; done

fuzz: install-dev  ## give broken files to every reader for twenty minutes
	$(BIN)/python -m tests.fuzz hypothesis --minutes 10
	$(BIN)/python -m tests.fuzz atheris --minutes 10

format: install-dev  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install-dev  ## measure the speeds that docs/benchmarks.md reports
	$(BIN)/python -m benchmarks

# Not a part of the tests: a sample of 300 takes about half an hour on 2 cores.
mutation: install-dev  ## change the code that judges a run, and count what the tests find
	nice $(BIN)/python -m benchmarks.mutation --number 300

sample: install  ## play the runs whose reports reports/sample shows (five minutes), and put them there
	$(BIN)/python -m ci.sample

# Without cgo the binary needs no library of the system that it was built on: it runs in any image.
toxiproxy: install  ## build the real Toxiproxy server and its command line with Go, into the virtual environment
	CGO_ENABLED=0 GOBIN="$(CURDIR)/$(BIN)" go install -ldflags "-X github.com/Shopify/toxiproxy/v2.Version=2.12.0" \
	  github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0 github.com/Shopify/toxiproxy/v2/cmd/cli@v2.12.0
	mv "$(BIN)/server" "$(BIN)/toxiproxy-server"
	mv "$(BIN)/cli" "$(BIN)/toxiproxy-cli"

# Without a registry the image of Toxiproxy holds the server that is found here: one is built where Go is present.
images: install  ## make the container images (OFFLINE=1 without a registry, BASE_IMAGE=... another base)
	@if [ -n "$(OFFLINE)" ] && command -v go >/dev/null && [ ! -x $(BIN)/toxiproxy-server ] \
	  && [ -z "$$TOXIPROXY_SERVER" ] && ! command -v toxiproxy-server >/dev/null; then \
	  $(MAKE) --no-print-directory toxiproxy || echo "Go could not build Toxiproxy; going on without"; fi
	$(BIN)/codeblue images $(if $(OFFLINE),--offline) $(if $(BASE_IMAGE),--base "$(BASE_IMAGE)")

clean:  ## stop and remove what an interrupted run left behind
	$(BIN)/codeblue clean

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { echo "no virtual environment: install your system's python3-venv package"; exit 1; }

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@ $(VENV)/.installed

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"
