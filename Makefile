# Two commands: `make hil` runs the main job on the emulated board, `make test` the harness's own tests.

# The first Python that starts. `make PYTHON=python3.13 test` takes that one, in an environment of its own: .venv-python3.13.
ifeq ($(origin PYTHON),command line)
VENV   := .venv-$(notdir $(PYTHON))
else
PYTHON := $(shell for one in python3.11 python3.12 python3.13 python3; do $$one -c "" 2>/dev/null && command -v $$one && break; done)
VENV   := .venv
endif
BIN    := $(VENV)/bin
# What is installed: RUNS all that a run needs, STAMP the tools of the harness's own tests too.
RUNS   := $(VENV)/.runs
STAMP  := $(VENV)/.installed

# Containers set it; without bytecode every start of pytest compiles and rewrites its modules again: 5 s.
export PYTHONDONTWRITEBYTECODE :=

.NOTPARALLEL:  # two of these never make one environment at once
.PHONY: hil gate baseline gate-l4 baseline-l4 test slow lint sanitize fuzz format clean help

hil: $(RUNS)  ## build, flash, run and judge every RNNPool network on the STM32F439 of the inventory, else on the emulated one
	$(BIN)/pytest hil/ --board=stm32f439

gate: $(RUNS)  ## every scenario against the committed baseline: one cycle, one byte or one output is a regression
	$(BIN)/pytest hil/ --board=stm32f439 --hil-target=emulator --hil-all --hil-baseline --hil-stale=error

baseline: $(RUNS)  ## take the figures of every scenario into the baseline; say why: make baseline WHY="..."
	$(BIN)/pytest hil/ --board=stm32f439 --hil-target=emulator --hil-all --hil-update-baseline --hil-why="$(WHY)"

L4 := --board=nucleo_l4r5zi --hil-target=emulator $(addprefix --hil-scenario=,face_or_not mlperf_ad mlperf_kws)

gate-l4: $(RUNS)  ## three quick scenarios on the second chip against its baseline
	$(BIN)/pytest hil/ $(L4) --hil-baseline --hil-stale=error

baseline-l4: $(RUNS)  ## take their figures into its baseline: make baseline-l4 WHY="..."
	$(BIN)/pytest hil/ $(L4) --hil-update-baseline --hil-why="$(WHY)"

test: lint  ## the harness's own tests, but for the slowest: no board, no Renode
	$(BIN)/pytest tests -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

slow: $(STAMP)  ## the slowest of the harness's own tests: whole networks, wheels, interrupts; .ci/nightly runs them
	$(BIN)/pytest tests -n auto --dist loadfile -m slow

lint: $(STAMP)  ## style, types and layout of Python and C
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format --dry-run --Werror
	$(BIN)/python tests/tidy.py

# Every file of tests that compiles C for this machine, and those that are hardest on the emulated board's.
SANITIZED = $(shell grep -lE '^(from native import .*[a-z]|import native|from native_device|from sanitizers|from damaged_code)' tests/test_*.py) \
	$(addprefix tests/test_,$(addsuffix .py,decode timing_addresses timing_alignment timing_cases emulator_alignment emulator_fuzz emulator_lent emulator_sending emulator_programming))

# With the C++ library beside it: the sanitizer else ends a process in which torch raises an exception.
sanitize: $(STAMP)  ## every C build of the tests for this machine, and the emulated board's C, under gcc's address and undefined sanitizers; 20,000 fuzzed conversations
	HIL_SANITIZE=1 ASAN_OPTIONS=detect_leaks=0 \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
		$(BIN)/pytest $(SANITIZED) -n auto --dist loadfile

SECONDS ?= 60

fuzz: $(STAMP)  ## the firmware's link, every kernel's descriptor and every reader of files, SECONDS each (default 60), with gcc's sanitizers
	$(BIN)/python tests/firmware_fuzz.py --seconds $(SECONDS) --keep build
	$(BIN)/python tests/fuzzing.py all --seconds $(SECONDS) --keep build/readers

format: $(STAMP)  ## rewrite Python and C in the project's layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format -i

# Of ten thousand modules a run imports a third: Python compiles those when it meets them.
INSTALL = $(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable

$(RUNS): pyproject.toml constraints.txt
	@echo "setting up $(VENV), once: half a gigabyte to download"
	$(PYTHON) -m venv $(VENV)
	sh ci/cpu_torch.sh $(BIN)
	$(INSTALL) '.[suite]'
	touch $@

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) for the tests, once: 0.6 gigabytes to download"
	$(PYTHON) -m venv $(VENV)
	sh ci/cpu_torch.sh $(BIN)
	$(INSTALL) '.[dev]'
	touch $(RUNS) $@

clean:  ## remove the environment and everything built here
	rm -rf .venv .venv-* build

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
