# make demo    all the set-up, then the main job on simulated cards
# make test    all the set-up, then every test
# make check   the inner loop: style, types, layers and the fast tests, of each table a few rows
# make bench   what things cost, as ratios against peers
# make fuzz SECONDS=60 [TARGETS="tlv cms"]   looks for inputs that a reader falls over, so long for each target
# make soak [PARTS="pages disk"]   a year of abuse in an hour: insertions, restarts, signatures, pages that vanish, full disks
# make autobahn  other people's WebSocket cases against /v1 (root: their suite wants a Debian of its own)
# make mutants breaks what guards PINs and signatures on purpose, and lists what no test noticed (slow)
# make coverage [ROOMS="pcsc signing/cms"]   covers each module of the rooms that guard cards and PINs by the tests of its name alone
# make package         the frozen program and this system's packages, in dist/
# make test-packages   install and use them: on a Debian with nothing but apt, and under Wine (root; slow)

PYTHON := .venv/bin/python
# Else every process compiles all of the program again: a second of the processor's time each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench fuzz soak autobahn mutants coverage setup package test-packages

demo:
	@tools/setup demo
	.venv/bin/hca-agent demo

setup:
	@tools/setup test

# Five at a time, also on two cores: half of the time tests wait, for windows, processes and limits. The last
# begins with the quick ones, which wait for nothing.
PYTEST := $(PYTHON) -m pytest -p tests.support.crew --crew 5

test: setup
	@$(MAKE) --no-print-directory -j2 lint all

check: setup
	@$(MAKE) --no-print-directory -j2 lint fast

.PHONY: lint all fast
all:
	$(PYTEST)

fast:
	$(PYTEST) -q -p tests.support.sample --sample 6 \
		-m "not slow and not pcscd and not browser and not packages" \
		--ignore tests/browser --ignore tests/bench

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: setup
	@mkdir -p dist
	$(PYTHON) -m tests.bench --json dist/bench.json

SECONDS ?= 60
TARGETS ?=

fuzz:
	@tools/setup fuzz
	$(PYTHON) -m tests.fuzz --seconds $(SECONDS) $(TARGETS)

PARTS ?=

soak: setup
	@mkdir -p dist
	$(PYTHON) -m tests.soak --json dist/soak.json $(PARTS)

autobahn:
	@tools/setup autobahn
	$(PYTHON) -m tests.autobahn

mutants: setup
	$(PYTHON) -m tests.mutants

ROOMS ?=

coverage: setup
	$(PYTHON) -m tests.individual_coverage $(ROOMS)

package:
	@tools/setup package
	$(PYTHON) installer/build.py

test-packages:
	@tools/setup test-packages
	$(PYTHON) installer/build.py
	$(PYTHON) -m pytest -m packages tests/installer
