# `make` alone lists the targets. Everything runs from .venv, which is made when it is missing.
.DEFAULT_GOAL := help
.PHONY: help demo test test-rabbitmq lint format docs bench bench-live bench-pages screenshots soak-rabbitmq soak-cron soak-schedule soak-hours clean

PYTHON ?= python3
BIN := .venv/bin

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z.][a-z.-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: .venv/.made  ## The virtualenv with everything the other targets need

.venv/.made: pyproject.toml .ci/venv
	.ci/venv .venv "$(PYTHON)" dev
	@touch $@

demo: .venv/.made  ## See it work: about a minute, no services needed (VIDEO=path takes your own video)
	$(BIN)/python manage.py demo $(if $(VIDEO),--video "$(VIDEO)")

test: .venv/.made  ## Run the tests on every database that answers (LANES="sqlite", ARGS="-k cancel")
	$(BIN)/python -m tests.lanes $(LANES) -- $(ARGS)

test-rabbitmq: .venv/.made  ## Run all tests over RabbitMQ, not only the selection of `make test`: half an hour
	$(BIN)/python -m tests.lanes --whole rabbitmq rabbitmq-mariadb -- $(ARGS)

soak-rabbitmq: .venv/.made  ## RabbitMQ is killed 20 times and ends 20 times during 20,000 jobs, on two databases (20 minutes)
	JOBSAGA_TRIALS=20 JOBSAGA_SOAK=$(CURDIR)/docs/soak $(BIN)/python -m tests.lanes rabbitmq rabbitmq-mariadb -- tests/faults/test_broker.py

lint: .venv/.made  ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.made  ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.made  ## Build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/.made  ## Measure: submit, drain, both at once, idle latency
	$(BIN)/python -m benchmarks

bench-live: .venv/.made  ## Measure from a commit to the page, with 200 sockets (writes docs/soak/live.md)
	$(BIN)/python -m benchmarks.live --out docs/soak/live.md $(ARGS)

bench-pages: .venv/.made  ## Measure the pages on 1,000,000 jobs on PostgreSQL (writes docs/soak/pages.md, takes minutes)
	$(BIN)/python -m benchmarks.pages --out docs/soak/pages.md $(ARGS)

screenshots: .venv/.made  ## Take the pictures of the pages anew, with real jobs and Chromium (writes docs/screenshots)
	$(BIN)/python -m tests.live.screenshots

soak-cron: .venv/.made  ## Compare 2,000 generated schedules with cronsim's (writes docs/soak/cron.md, takes minutes)
	$(BIN)/python -m tests.schedule.soak $(ARGS)

soak-schedule: .venv/.made  ## A job every second, four saga hosts that are killed, 300 ticks: five minutes, on PostgreSQL
	JOBSAGA_TRIALS=20 JOBSAGA_SOAK=docs/soak JOBSAGA_TEST_DATABASE=postgresql $(BIN)/python -m pytest -q tests/faults/test_ticks.py

soak-hours: .venv/.made  ## The long tests of long jobs at full length, on each database that answers: hours
	JOBSAGA_TRIALS=20 JOBSAGA_SOAK=$(CURDIR)/docs/soak $(BIN)/python -m tests.lanes $(LANES) -- \
		tests/hours/test_torture.py tests/hours/test_long_haul.py tests/hours/test_hour_broker.py $(ARGS)

clean:  ## Remove what was built (not .venv)
	rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
