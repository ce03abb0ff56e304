.PHONY: install test lint format type bench-quick ci

install:
	python -m pip install -e '.[dev]'

test:
	pytest -n auto

lint:
	ruff check .
	ruff format --check .

format:
	ruff check --fix .
	ruff format .

type:
	mypy
	pyright

bench-quick:
	python -m benchmarks.quick

ci:
	.ci/run
