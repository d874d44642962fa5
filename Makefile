# One command per intention; CI calls the same ones.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo

.PHONY: help test clients lint docs deps oracle bench soak fuzz image
help: ## this text
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

test: ## all tests, with a real etcd, real TLS and real clients
	@PORTCULLIS_ETCD=$$(tools/etcd) $(CARGO) test --locked --release

clients: ## real clients: kube-rs, Python, npm, a Helm-like run; installed below target/
	tests/clients.sh

lint: ## formatting and clippy, warnings refused
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --release --all-targets -- -D warnings

docs: ## the documentation, warnings refused
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --release --no-deps --document-private-items

deps: ## the dependency rules: one TLS stack, one crypto library, serde_json as it is
	tools/deps

oracle: ## replays the recorded conversations with kube-apiserver against both stores
	tests/oracle.sh embedded
	tests/oracle.sh etcd

bench: ## CPU time per request, rates and memory, as the README's table has them
	$(CARGO) build --locked --profile image
	PORTCULLIS_BIN=target/image/portcullis PORTCULLIS_ETCD=$$(tools/etcd) $(CARGO) bench --locked --bench load
	$(CARGO) bench --locked --bench schema

soak: ## the long ones: ten thousand crash images, storms
	PORTCULLIS_SOAK=1 PORTCULLIS_ETCD=$$(tools/etcd) $(CARGO) test --locked --release

fuzz: ## every fuzz target for PORTCULLIS_FUZZ_SECONDS each (60); needs cargo-fuzz and a nightly toolchain
	tools/fuzz

image: ## the binary as the Dockerfile builds it; asserts its size and what it links
	tools/image
