# The user's two commands are `make demo` and `make test`; both build what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo_output

.PHONY: demo test test-portable test-slow test-gpu test-comfyui test-browser test-ray lint format clean

$(VENV)/.ready: requirements.txt constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[standalone,eval,train,dev]"
	touch $@

demo: $(VENV)/.ready
	$(BIN)/python -m xmempp_core demo --output $(OUTPUT) --overwrite

test: $(VENV)/.ready
	$(BIN)/python -m pytest -m "not slow and not gpu and not comfyui and not browser and not ray"

test-slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m "slow and not gpu and not comfyui and not browser and not ray"

# As other processors, thread counts and busy machines run them; for a release, not for every change.
test-portable: $(VENV)/.ready
	.ci/portable $(BIN)/python

# On a machine with a CUDA GPU; a test that cannot run there fails.
test-gpu: $(VENV)/.ready
	$(BIN)/python -m pytest -m gpu

test-comfyui: $(VENV)/.ready
	.ci/comfyui $(BIN)/python

test-browser: $(VENV)/.ready
	.ci/browser $(BIN)/python

# Installs Ray, which is large, and starts clusters of two machines on this one; for a release too.
test-ray: $(VENV)/.ready
	.ci/ray $(BIN)/python

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy xmempp_core nodes

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build demo_output
