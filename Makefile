# make demo   the main job on the embedded models, nothing else needed
# make serve  all four roles behind the emulator, until Ctrl-C; prints a curl to try
# make test   the tests          make check  lint, types          make lock  the hash-pinned requirements anew
# make images the four container images, by whatever engine answers      make test-images  the same, and their tests
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROLES := single diarization transcription orchestrator dev

.PHONY: demo serve test test-slow images test-images check lock clean

demo: $(STAMP)
	$(BIN)/python -m examples.demo

# exec: no shell stands between a signal and the emulator, which then ends its workers.
serve: $(STAMP)
	exec $(BIN)/python -m emulator --config emulator/demo.toml --port $(PORT)

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

images: $(STAMP)
	$(BIN)/python -m tests.images.build

test-images: $(STAMP)
	$(BIN)/python -m pytest -m images tests/images

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# uv, itself from the index, installs in a fraction of pip's time.
$(STAMP): requirements/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.8'
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@

lock: $(STAMP)
	for role in $(ROLES); do $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra $$role pyproject.toml -o requirements/$$role.txt || exit 1; done

clean:
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
