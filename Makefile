# Everything there is to set up: `make demo` or `make test`. Both make .venv first, when it is not there.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: demo lab test lint docs clean

demo: $(VENV)/.installed
	$(RUN)/lpmkit demo

lab: $(VENV)/.installed
	$(RUN)/lpmkit lab

test: $(VENV)/.installed lint
	$(RUN)/python -m pytest -n 4 --dist worksteal

lint: $(VENV)/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

docs: $(VENV)/.installed
	$(RUN)/python -m docs.generate

clean:
	rm -rf $(VENV) demo lab

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@
