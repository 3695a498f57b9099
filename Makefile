# `make` says what there is. The work is done by scripts/, which can be called by themselves.
.POSIX:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: ## the whole way of a record, on this machine, in a few minutes
	@./scripts/demo

test: ## format, lints and every test, on SQLite and on a private MariaDB
	@./scripts/test

test-mysql: ## the tests that need a server, against yours: MYSQL_URL=mysql://user:password@host:port
	@./scripts/test-mysql "$(MYSQL_URL)"

lint: ## format, clippy, documentation, licences and sources of dependencies
	@./scripts/lint

bench: ## records per second, memory and idle cost, on SQLite and on a private MariaDB
	@./scripts/bench

.PHONY: help demo test test-mysql lint bench
