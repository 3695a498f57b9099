# `make` says what there is. The work is done by scripts/, which can be called by themselves.
.POSIX:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo: ## the whole way of a record, on this machine, in a few minutes
	@./scripts/demo

test: ## format, lints and every test, on SQLite and on a private MariaDB
	@./scripts/test

test-mysql: ## the tests that need a server, against yours: MYSQL_URL=mysql://user:password@host:port
	@./scripts/test-mysql "$(MYSQL_URL)"

lint: ## format, clippy, documentation, licences and sources of dependencies
	@./scripts/lint

supply-chain: ## bans, licences and sources of dependencies, with cargo-deny (built into target/tools if it is missing)
	@./scripts/supply-chain

dist: ## dist/: static program, container image, SBOM, completions, manual pages, checksums
	@./scripts/dist

image: ## the container image alone: an OCI archive, made without a container engine
	@./scripts/dist image

bench: ## records per second, memory and idle cost, on SQLite and on a private MariaDB
	@./scripts/bench

.PHONY: help demo test test-mysql lint supply-chain dist image bench
