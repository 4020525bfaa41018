# Each target does everything it needs: the first one that is called makes .venv and installs the course into it.
# `make PYTHON=python3.12 run` picks an interpreter; by default the first one that is new enough.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
# What a student needs, and what the tests need beside it: nbgrader, which adds its menus to JupyterLab, among others.
COURSE := $(VENV)/.course
TESTS := $(VENV)/.tests
VQTUTOR := $(VENV)/bin/vqtutor

.DEFAULT_GOAL := help
.PHONY: help run site test proofs check colab browser screenshots lab release bench mutants nbgrader-demo doctor clean

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(COURSE)  ## execute the reference course; its pages come to build/course/index.html
	$(VQTUTOR) run

site: $(COURSE)  ## the same pages without running anything, from the outputs that solutions/ keep
	$(VQTUTOR) site

test: $(TESTS)  ## run the tests, and nbval on the solutions
	$(VQTUTOR) test

proofs: $(TESTS)  ## run the long tests, which `make test` leaves out: other programs, all lessons in a row, machines that die
	$(VQTUTOR) test --proofs

check: $(TESTS)  ## lint, and the tests that take seconds: while you work
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	$(VQTUTOR) test --quick

colab: $(TESTS)  ## run every notebook in Colab's own environment, which comes to build/colab (QUICK=1: train less)
	$(VENV)/bin/python tests/colab.py $(if $(QUICK),--quick)

browser: $(TESTS)  ## visit all pages of the site and run all lessons in a browser: a tour of half an hour
	$(VQTUTOR) test tests/tours.py

screenshots: $(TESTS)  ## take pictures of the site and of all lessons in a browser; they come to build/screenshots
	$(VENV)/bin/python tests/screenshots.py

lab: $(COURSE)  ## open the notebooks in JupyterLab
	$(VQTUTOR) lab

release: $(TESTS)  ## run solutions/, store their outputs, make notebooks/ from them, and list what they claim
	$(VQTUTOR) release --execute
	$(VENV)/bin/python benchmarks/course.py strokes --stored
	$(VENV)/bin/python tests/claims.py

bench: $(TESTS)  ## time training steps against Haiku, Keras and PyTorch (downloads TensorFlow and PyTorch into build/)
	$(VENV)/bin/python benchmarks/speed.py

mutants: $(TESTS)  ## change every answer a little, and see that the checks notice; keeps what they observe
	$(VQTUTOR) doctor --mutants --write

nbgrader-demo: $(TESTS)  ## grade a made class with the real nbgrader and with vqtutor, and compare
	$(VENV)/bin/python benchmarks/nbgrader_demo.py

doctor: $(COURSE)  ## say what is installed here and which data can be had
	$(VQTUTOR) doctor

clean:  ## remove what was built, and .venv
	rm -rf build $(VENV)

$(COURSE): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[lab,site,tsne]"
	@touch $@

$(TESTS): $(COURSE)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@
