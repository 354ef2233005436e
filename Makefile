# Everything there is to set up: `make demo` or `make test`. Both make .venv first, when it is not there.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: demo lab test tests lint docs wheelhouse clean

demo: $(VENV)/.installed
	$(RUN)/lpmkit demo

lab: $(VENV)/.installed
	$(RUN)/lpmkit lab

test: $(VENV)/.installed
	$(MAKE) -j2 lint tests

tests: $(VENV)/.installed
	$(RUN)/python -m pytest -n 4 --dist worksteal

lint: $(VENV)/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

docs: $(VENV)/.installed
	$(RUN)/python -m docs.generate

reference: $(VENV)/.installed
	$(RUN)/python -m docs.reference

# Everything that a host without internet installs from: make wheelhouse EXTRAS=report,sap
EXTRAS ?= all
wheelhouse: $(VENV)/.installed
	$(RUN)/python -m pip wheel --quiet --disable-pip-version-check --wheel-dir wheelhouse '.[$(EXTRAS)]'

clean:
	rm -rf $(VENV) demo lab reference wheelhouse

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@
