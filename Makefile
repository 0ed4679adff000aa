# make demo    sets everything up and shows the main job: SQLite to DynamoDB, verified
# make test    sets everything up and runs the tests
# make serve   the admin at http://localhost:8000/admin/ (admin / admin, on this machine only)
# make check   format, lint, types, import rules, Django's checks
# make bench   measures, beside boto3, PynamoDB and pydynox; writes bench/latest.json

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
MOTO := $(shell grep '^moto' requirements-dev.txt)

.PHONY: setup demo serve test check bench clean

setup: $(VENV)/.installed $(VENV)/.engine

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	@echo "Installing Python packages into $(VENV) …"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing what tests and checks need …"
	@$(PIP) -r requirements-dev.txt
	@touch $@

# The local DynamoDB engine: dynoxide from npm, else moto's server from pip.
$(VENV)/.engine: $(VENV)/.installed package.json
	@if command -v npm >/dev/null; then \
	  echo "Installing the local DynamoDB engine …"; \
	  npm install --silent --no-audit --no-fund --no-package-lock; \
	fi
	@if ! ls node_modules/@dynoxide/*/dynoxide* >/dev/null 2>&1; then \
	  echo "npm or its engine is not to be had here: falling back to moto's server (slower, in memory)."; \
	  $(PIP) '$(MOTO)'; \
	fi
	@touch $@

demo: setup
	@DAYLIGHT_ENV=development LOG_LEVEL=WARNING DATABASE_URL=sqlite:///var/demo/daylight.sqlite3 \
	  LOCAL_DYNAMODB_PATH=var/demo/dynamodb.db DYNAMODB_ENDPOINT=local $(PY) manage.py demo

serve: setup
	@DAYLIGHT_ENV=development LOG_LEVEL=WARNING $(PY) manage.py prepare_development
	@DAYLIGHT_ENV=development $(PY) manage.py runserver localhost:$(PORT)

test: setup $(VENV)/.installed-dev
	@$(PY) -m pytest -n auto --dist loadgroup

check: setup $(VENV)/.installed-dev
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@DAYLIGHT_ENV=test $(PY) manage.py check
	@DAYLIGHT_ENV=test $(PY) manage.py makemigrations --check --dry-run

bench: setup $(VENV)/.installed-dev
	@$(PIP) -r bench/requirements.txt
	@$(PY) -m bench

clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis
