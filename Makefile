# Two commands: `make app` serves the dashboard, `make test` runs the tests. Both set everything up.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# A browser, or a cluster of processes, on a busy machine can miss a moment: what failed is tried once
# more, and has to pass then.
AGAIN := $(BIN)/python -m pytest --last-failed --last-failed-no-failures none

.PHONY: app test slow lint demo clean

app: $(READY)
	$(BIN)/python -m trust_core demo
	$(BIN)/python -m dashboard $(FOLDERS)

demo: $(READY)
	$(BIN)/python -m trust_core demo

test: lint
	$(BIN)/python -m pytest -m "not slow" --ignore=tests/browser -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "not slow" tests/browser || $(AGAIN) -m "not slow" tests/browser

slow: $(READY)
	$(BIN)/python -m pytest -m slow --ignore=tests/browser -n 2 --dist loadfile \
		|| $(AGAIN) -m slow --ignore=tests/browser
	$(BIN)/python -m pytest -m slow tests/browser || $(AGAIN) -m slow tests/browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamp is written last, so an interrupted set-up starts over.
$(READY): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 app")'
	@echo "Setting up, once: PyTorch and the other packages, some minutes and several GB."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.lock
	touch $@

clean:
	rm -rf .venv workspace
