# Goals: demo, test, quick, lint, bench, faults. Each installs what it needs, the first time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
ENVIRONMENT := scripts/environment $(PYTHON) $(VENV)
WAITING := slurm or sge or mpi or tmux or docker
# Every worker process would compile the package anew where this is set.
export PYTHONDONTWRITEBYTECODE :=
QUICK := -n 2 --dist worksteal -m "not (cluster or slow or $(WAITING))"

.PHONY: help demo test test-versions quick lint format bench bench-clusters faults clean

help:
	@echo "make demo    run both examples on real data and draw their pictures (in $(DEMO)/)"
	@echo "make test    run all tests"
	@echo "make quick   run the tests that start no workers and no daemons"
	@echo "make test-versions  run those on the lowest versions declared, and on Python 3.12 and 3.13"
	@echo "make lint    check style, types and who imports whom"
	@echo "make format  format the code"
	@echo "make bench   measure speed, side by side with bare loops"
	@echo "make bench-clusters  the same for clusters, on the test bed"
	@echo "make faults  let each system call of a run fail, and see that nothing is lost (needs cc)"
	@echo "make clean   remove the environment and what the demo wrote"

$(VENV)/demo.stamp: pyproject.toml scripts/environment
	$(ENVIRONMENT) plot
	@touch $@

$(VENV)/dev.stamp: pyproject.toml scripts/environment
	$(ENVIRONMENT) dev
	@touch $@ $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(BIN)/simherd run examples/jacksboro.yaml --workers 2 --store $(DEMO)/jacksboro.zarr
	$(BIN)/python -m simherd.examples jacksboro $(DEMO)/jacksboro.zarr $(DEMO)/jacksboro.png
	$(BIN)/simherd run examples/influenza.yaml --workers 2 --store $(DEMO)/influenza.zarr
	$(BIN)/python -m simherd.examples influenza $(DEMO)/influenza.zarr $(DEMO)/influenza.png
	@echo
	@echo "Written:"
	@for file in $(DEMO)/*; do echo "  $$file"; done

# What waits for daemons most of its time runs after the rest, and more of it side by side.
test: $(VENV)/dev.stamp
	scripts/packages
	@$(BIN)/python -m pytest -n 4 --dist worksteal -m "not ($(WAITING))"; rest=$$?; \
	$(BIN)/python -m pytest -n 6 --maxschedchunk 1 -m "$(WAITING)"; waiting=$$?; \
	exit $$((rest || waiting))

quick: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(QUICK)

test-versions: $(VENV)/dev.stamp
	scripts/versions $(BIN)/uv $(VENV)/versions -q $(QUICK)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp
	cd benchmarks && ../$(BIN)/python engine.py && echo && ../$(BIN)/python store.py && echo && ../$(BIN)/python batch.py && echo && ../$(BIN)/python blocks.py && echo && ../$(BIN)/python throughput.py && echo && ../$(BIN)/python parallel.py && echo && ../$(BIN)/python ensemble.py

# The test bed goes on running; scripts/testbed stop ends it.
bench-clusters: $(VENV)/dev.stamp
	scripts/packages
	scripts/testbed start
	@cd benchmarks && eval "$$(../scripts/testbed env)" && \
	../$(BIN)/python guards.py && echo && ../$(BIN)/python startup_mpi.py && echo && \
	../$(BIN)/python startup_jobs.py slurm && echo && ../$(BIN)/python startup_jobs.py sge

# FAULTS=--quick tries a sample; --help lists the other options.
faults: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/faults $(FAULTS)

clean:
	rm -rf $(VENV) $(DEMO)
