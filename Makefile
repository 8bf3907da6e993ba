# `make` lists the commands.
.DEFAULT_GOAL := help
.PHONY: help run test check lint tools debug ffmpeg template rust openapi clients large kills fuzz browser
.PHONY: simulation simulate bench bench-functions build emulator limits stages deploy changes smoke status logs dlq replay drop rollback prune destroy corpus

CARGO := cargo
# How many stages `make test` runs at the same time.
JOBS ?= 2
# `make test` sets STAGE to scripts/stage.sh, which writes the output of a stage to a log, and FFMPEG to layer.
STAGE ?=
FFMPEG ?= now

# The optimised simulation, and the first of the schedules of `make simulate`.
SIMULATE = $(CARGO) test --locked --profile simulate --package upreel-simulation
SEED ?= 0

# Where `make debug` builds its programs.
DEBUG = "$${CARGO_TARGET_DIR:-target}"/debug

help: ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: tools ## Start the whole backend on http://127.0.0.1:3000 (ARGS="--help" for its options)
	@echo "Building the backend; the first time takes some minutes."
	@./scripts/ffmpeg.sh now $(CARGO) run --locked -- $(ARGS)

test: ## Run everything that CI runs: the stages below, JOBS=2 at a time, with logs in target/stages
	@./scripts/tools.sh cc chromium curl ffmpeg node python valgrind
	@./scripts/stage.sh --begin
	@status=0; $(MAKE) --no-print-directory --jobs=$(JOBS) stages STAGE='./scripts/stage.sh $$@' FFMPEG=layer || status=$$?; \
	  ./scripts/stage.sh --summary && exit $$status

check: ## The fast inner loop: lints and the unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace --features upreel-simulation/dynoxide --lib --test tidy

# The stages of `make test`: what others wait for first, then the longest. Make starts a stage as soon as those that it
# depends on have passed.
stages: lint ffmpeg debug build rust emulator limits browser openapi simulation fuzz template clients

ifeq ($(STAGE),)
lint debug fuzz build simulation: | tools
else
# Cargo runs one build at a time in a target folder.
debug: | lint
# Leave the processors to the builds that other stages wait for.
fuzz simulation: | debug
# Tests use the ffmpeg of the layer, and only one process builds it.
openapi clients browser build: | ffmpeg
endif

# Installs what a new machine may lack.
tools:
	@./scripts/tools.sh cc

# All programs and tests, built once and with one set of features. Cargo would compile most dependencies again for the
# features of a single package.
debug:
	@$(STAGE) $(CARGO) build --locked --workspace --all-targets

lint: ## Check formatting, lock files, licences and sources of dependencies, clippy's lints
	@$(STAGE) ./scripts/lint.sh

ffmpeg: ## Build the FFmpeg of the layer, if it is not built yet, and print its path
	@$(STAGE) ./scripts/ffmpeg.sh layer

rust: debug ffmpeg ## Run the Rust tests: units, journeys with real protocols and ffmpeg, hostile videos
	@./scripts/tools.sh ffmpeg
	@$(STAGE) env UPREEL_BINARY="$$(realpath $(DEBUG)/upreel)" ./scripts/ffmpeg.sh layer $(CARGO) test --locked --workspace --no-fail-fast

simulation: ## Simulate 5,000 schedules with faults, and a third of the cases of the fault matrix (all: see its README)
	@SCHEDULES=5000 SHARE=3 $(STAGE) $(SIMULATE) -- --nocapture

simulate: N ?= 100000
simulate: tools ## Simulate N=100000 schedules, starting with SEED=0
	@SCHEDULES=$(N) SEED=$(SEED) $(SIMULATE) --test schedules -- --exact schedules --nocapture

template: debug ## Check the template, the operators' scripts and documents without an account, and that the checks find mutations
	@$(STAGE) ./tests/template/gate.sh $(DEBUG)

openapi: debug ## Compare the backend with openapi.yaml by thousands of requests (schemathesis)
	@./scripts/tools.sh ffmpeg
	@$(STAGE) ./scripts/ffmpeg.sh $(FFMPEG) ./scripts/venv.sh tests/openapi/requirements.txt \
	  python tests/openapi/run.py $(DEBUG)/upreel

clients: debug ## Upload with curl, Python, boto3 and the AWS CLI
	@./scripts/tools.sh curl ffmpeg
	@$(STAGE) ./scripts/ffmpeg.sh $(FFMPEG) ./scripts/venv.sh tests/clients/requirements.txt \
	  python tests/clients/run.py $(DEBUG)/upreel

large: debug ## Upload a video of 6 GB in parts and measure the memory (needs 7 GB of disk)
	@./scripts/tools.sh ffmpeg
	@./scripts/ffmpeg.sh now ./scripts/venv.sh tests/clients/requirements.txt \
	  python tests/clients/large.py $(DEBUG)/upreel

corpus: debug ## Upload 570 real videos and compare the results with ffprobe (ARGS="--hls 120" transcodes some; hours)
	@./scripts/tools.sh ffmpeg python
	@./tests/corpus/download.sh
	@./scripts/ffmpeg.sh layer python3 tests/corpus/run.py $(DEBUG)/upreel "$${UPREEL_CACHE:-$$HOME/.cache/upreel}/corpus" $(ARGS)

kills: N ?= 20
kills: debug ## Kill the backend N=20 times under load and check that nothing is lost (SEED= repeats the load of a run)
	@./scripts/tools.sh ffmpeg
	@KILLS=$(N) UPREEL_BINARY="$$(realpath $(DEBUG)/upreel)" ./scripts/ffmpeg.sh $(FFMPEG) \
	  $(CARGO) test --locked --workspace --test kills -- --nocapture

fuzz: ## Fuzz the parsers of untrusted bytes with a fixed seed (ARGS="mp4 600" for one of them, and for longer)
	@$(STAGE) ./scripts/fuzz.sh $(ARGS)

browser: debug ## Test Uppy and the pages in Chromium against the backend (ARGS="uppy" for files of that name)
	@./scripts/tools.sh chromium ffmpeg node
	@$(STAGE) ./scripts/ffmpeg.sh $(FFMPEG) ./scripts/browser.sh $(DEBUG)/upreel $(ARGS)

bench: tools ## Compare the thumbnails with the usual methods, on videos of up to 5 GB (ARGS="--help")
	@./scripts/tools.sh ffmpeg
	@./scripts/ffmpeg.sh layer $(CARGO) run --locked --profile bench-run --package upreel-bench -- $(ARGS)

bench-functions: tools ## Compare the functions with the usual ones in Node.js, Python and Rust (ARGS="--help")
	@./bench/functions/run.sh $(ARGS)

build: ## Build the functions and the FFmpeg layer for deployment (ENV=prod for another section of samconfig.toml than dev)
	@$(STAGE) sh -c './scripts/sam.sh build --config-env $(or $(ENV),dev) && ./scripts/binaries.sh .aws-sam/build'

emulator: build ## Deploy the template with the built functions into an emulator, and test them there
	@./scripts/tools.sh ffmpeg node
	@$(STAGE) ./scripts/venv.sh tests/emulator/requirements.txt \
	  python tests/emulator/journey.py .aws-sam/build .aws-sam/build/FfmpegLayer/bin/ffmpeg

limits: build debug ## Check the built functions' size, instructions, memory, page faults and calls to AWS (Linux)
	@./scripts/tools.sh valgrind
	@$(STAGE) ./scripts/limits.sh $(DEBUG)/upreel-bench-functions .aws-sam/build

# Nothing that touches an account has a default: an incident in prod must not be worked on in dev. Make passes the
# variables of its command line in the environment (PARAMETERS, VIDEO, RELEASE, KEEP, CONFIRM, DATA); a shell would interpret
# their values here. BUILT=yes deploys what is in .aws-sam/build, which a pipeline has built before.
OPS = @./scripts/venv.sh tests/template/sam.txt python scripts/ops.py $(ENV)
ENV_COMMANDS = deploy changes smoke status logs dlq replay drop rollback prune destroy
ifeq ($(ENV),)
ifneq ($(filter $(ENV_COMMANDS),$(MAKECMDGOALS)),)
$(error Which stack? Name a section of samconfig.toml, or a stack: make $(firstword $(MAKECMDGOALS)) ENV=dev, or ENV=prod)
endif
endif

deploy: $(if $(BUILT),,build) ## Build, and deploy to the AWS account of the profile (ENV=dev; PARAMETERS="Name=value ..." changes parameters)
	$(OPS) deploy

changes: $(if $(BUILT),,build) ## Show what `make deploy` would change
	$(OPS) changes

smoke: ## Upload a video to the deployed stack and delete it again; fails with what is broken
	$(OPS) smoke

status: ## Show the deployed stack on one screen: release, alarms, queues, last errors
	$(OPS) status

logs: ## Follow the logs of the deployed functions
	$(OPS) logs

dlq: ## List what failed permanently: video and error
	$(OPS) dlq

replay: ## Process again what failed permanently, until the dead-letter queue is empty
	$(OPS) replay

drop: ## Give up one video for good: VIDEO=(videoId); its row says FAILED, its dead letters are deleted
	$(OPS) drop

rollback: ## Move all functions back to the previous release together; RELEASE= names another one
	$(OPS) rollback

prune: ## Delete old versions of the functions and the layer, after showing them; KEEP=10 of each stay
	$(OPS) prune

destroy: ## Delete the stack; DATA=delete deletes the videos too
	$(OPS) destroy
