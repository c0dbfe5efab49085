# What people do here. `make` alone explains.
.DEFAULT_GOAL := help

# Where the system has OpenSSL's headers, they save the minutes that building OpenSSL takes.
ifeq ($(origin OPENSSL_NO_VENDOR),undefined)
ifneq ($(shell pkg-config --atleast-version=1.1.1 openssl 2>/dev/null && echo yes),)
export OPENSSL_NO_VENDOR := 1
endif
endif

# CMake that the set-up fetched, where the system has none.
export PATH := $(PATH):$(CURDIR)/.cache/cmake/cmake/data/bin

.PHONY: help demo build setup test fmt lint deny advisories unit doc docs bench clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See it work: build, play a web shop's traffic with attacks in it, show the verdicts
	@scripts/setup.sh build
	cargo build --release --package weir
	@target/release/weir demo

build: ## Build target/release/weir
	@scripts/setup.sh build
	cargo build --release --package weir

setup: ## Check the tools and fetch what tests need into .cache/
	@scripts/setup.sh test

test: setup ## Everything that must hold before a change lands
	@scripts/test.sh

fmt: ## Format the code
	cargo fmt --all

lint: ## Lints, as errors
	cargo clippy --workspace --all-targets -- -D warnings

deny: setup ## Licences, bans and sources of dependencies
	.cache/tools/bin/cargo-deny check licenses bans sources

advisories: setup ## Known vulnerabilities of dependencies (needs the advisory database from the network)
	.cache/tools/bin/cargo-deny check advisories

unit: ## Tests of the libraries alone: no broker, no processes
	cargo test --workspace --lib --bins

doc: ## Build the documentation of the code, private items too
	cargo doc --workspace --no-deps --document-private-items

docs: ## Write docs/configuration.md anew
	mkdir -p .cache && cargo run --quiet --package weir -- config docs > .cache/configuration.md && mv .cache/configuration.md docs/configuration.md

bench: ## Measure the engine
	cargo bench --workspace

clean: ## Remove what was built and fetched
	rm -rf target .cache
