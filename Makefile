# Every target makes the virtual environment .venv first, if requirements changed.
# Options go into ARGS: make train ARGS="--download --network vector"
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: app test train benchmark lint tables licences lock

app: $(VENV)/installed
	$(RUN) -m streamlit run app.py $(ARGS)

test: $(VENV)/installed-dev
	$(RUN) -m pytest -n auto

train: $(VENV)/installed
	$(RUN) train.py $(ARGS)

# How good it is, beside others; needs DATA with ravdess, crema-d, noise and rooms inside
# (data/README.md). The cluster needs four cores; with fewer, the others are measured without it.
DATA ?= data
benchmark: $(VENV)/installed-dev
	$(RUN) benchmarks/original_protocol.py $(DATA)/ravdess
	$(RUN) benchmarks/opensmile_svm.py $(DATA)/ravdess $(DATA)/crema-d
	$(RUN) benchmarks/known_voice.py $(DATA)/ravdess --seed 0 1 2
	$(RUN) benchmarks/robustness.py $(DATA)
	$(RUN) benchmarks/speed.py $(DATA)
	$(RUN) benchmarks/steps.py $(DATA)
	$(RUN) benchmarks/folder.py $(DATA)
	$(RUN) benchmarks/growth.py $(DATA)
	-$(RUN) benchmarks/cluster.py $(DATA)
	$(RUN) benchmarks/training.py $(DATA)
	$(RUN) benchmarks/page_load.py $(DATA)
	$(RUN) benchmarks/fuzz.py
	$(RUN) benchmarks/faults.py
	$(RUN) benchmarks/gate.py $(DATA)
	$(RUN) benchmarks/long_haul.py $(DATA)

lint: $(VENV)/installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# Write the model cards and the tables of the pages from the results files.
tables: $(VENV)/installed
	$(RUN) docs/make_tables.py

# List the licences of all packages.
licences: $(VENV)/installed-dev
	$(RUN) docs/make_licences.py

# Pin everything that the direct dependencies bring along; needs uv.
# backports-strenum 1.3 refuses the Pythons that we support, which uv does not see.
lock:
	grep -v '^-c' requirements.txt > $(VENV)/requirements.txt
	cp requirements-dev.txt $(VENV)/requirements-dev.txt
	echo 'backports-strenum<1.3' > $(VENV)/constraints.txt
	uv pip compile --universal --python-version 3.11 --no-annotate --no-header \
	  -c $(VENV)/constraints.txt $(VENV)/requirements-dev.txt -o requirements.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed, found: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python requirements.txt requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
