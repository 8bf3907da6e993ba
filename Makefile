# One word each. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run test check lint ffmpeg

CARGO := cargo

help: ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: tools ffmpeg ## Start the whole backend on http://127.0.0.1:3000 (ARGS="--help" for its options)
	@echo "Building the backend; the first time takes some minutes."
	$(CARGO) run --locked -- $(ARGS)

test: tools ffmpeg lint ## Everything that CI runs: lints, unit tests, journeys
	$(CARGO) test --locked --workspace

check: ## The fast inner loop: lints and the unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace --lib
	$(CARGO) test --locked --workspace --test tidy

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# What a new machine may lack. Each says what it does, and does nothing the second time.
.PHONY: tools
tools:
	@./scripts/tools.sh cc

ffmpeg: ## Install ffmpeg unless it is there (FFMPEG_PATH names another)
	@./scripts/tools.sh ffmpeg
