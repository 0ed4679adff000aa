# make setup   installs into .venv, from the locks; after it ./manage.py works
# make demo    sets everything up and shows the main job: SQLite to DynamoDB, verified
# make serve   the admin at http://localhost:8000/admin/ (admin / admin, on this machine only)
# make test    sets everything up and runs the tests
# make quick   those that need no engine, database server or browser, without the slow ones
# make check   format, lint, types, import rules, Django's checks
# make matrix  a short suite on each Python and Django that is to be had
# make bench   measures, beside boto3, PynamoDB and pydynox; writes bench/latest.json
# make lock    writes the locks anew after a change of requirements

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
# No package's own code runs when it is installed, and none is taken whose hash is not in the lock.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check \
  --require-hashes --only-binary :all: -r
# venv, which Ctrl-C ends without a traceback; what is half made is made anew the next time.
MAKE_VENV := $(PYTHON) -c 'import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); \
  runpy.run_module("venv", run_name="__main__")'
# Another project's, where a shell has them: they would lead pip and Python elsewhere.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_NO_DEPS
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV DJANGO_SETTINGS_MODULE

.PHONY: setup demo serve test quick check matrix bench lock clean

setup: $(VENV)/.installed $(VENV)/.engine
	@[ "$(MAKECMDGOALS)" != setup ] || echo "Ready: ./manage.py, make demo, make serve, make test."

# What production has, and nothing else: what demo and serve use.
$(VENV)/.installed: requirements-production.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	@echo "Installing Python packages into $(VENV) …"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(MAKE_VENV) --clear $(VENV)
	@$(PIP) $<
	@touch $@

$(VENV)/.installed-dev: requirements.lock $(VENV)/.installed
	@echo "Installing what tests and checks need …"
	@$(PIP) $<
	@touch $@

# The local DynamoDB engine: dynoxide from npm, else moto's server from pip.
$(VENV)/.engine: package-lock.json .npmrc $(VENV)/.installed
	@if command -v npm >/dev/null; then \
	  echo "Installing the local DynamoDB engine …"; \
	  npm ci --silent || true; \
	fi
	@if ! ls node_modules/@dynoxide/*/dynoxide* >/dev/null 2>&1; then \
	  echo "npm or its engine is not to be had here: falling back to moto's server (slower, in memory)."; \
	  $(MAKE) --no-print-directory $(VENV)/.installed-dev; \
	fi
	@touch $@

# What demo and serve take from the shell: its variables may be another project's. Ours stand in
# .env, which serve reads.
KEPT := PATH HOME USER LOGNAME TMPDIR TERM COLUMNS LINES NO_COLOR LANG LC_ALL LC_CTYPE TZ \
  LD_LIBRARY_PATH DAYLIGHT_ENV_FILE DYNAMODB_ENGINE DYNOXIDE_BINARY
OWN = env -i $(foreach name,$(KEPT),$(if $(value $(name)),$(name)="$${$(name)}")) DAYLIGHT_ENV=development

demo: setup
	@$(OWN) LOG_LEVEL=WARNING DB_SLOW_QUERY_LOG=false DAYLIGHT_ENV_FILE=/dev/null \
	  DATABASE_URL=sqlite:///var/daylight.sqlite3 \
	  LOCAL_DYNAMODB_PATH=var/dynamodb/daylight.db DYNAMODB_ENDPOINT=local $(PY) manage.py demo

serve: setup
	@$(OWN) LOG_LEVEL=WARNING $(PY) manage.py prepare_development
	@$(OWN) $(PY) manage.py runserver localhost:$(PORT)

test: setup $(VENV)/.installed-dev
	@$(PY) -m pytest -n auto --dist loadgroup

quick: setup $(VENV)/.installed-dev
	@TESTS_QUICK=1 $(PY) -m pytest -n auto --dist loadgroup -q -rfE -m "not slow"

check: setup $(VENV)/.installed-dev
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@DAYLIGHT_ENV=test $(PY) manage.py check
	@DAYLIGHT_ENV=test $(PY) manage.py makemigrations --check --dry-run

# Its suite, where it looks for Pythons and where its venvs are: tests/matrix/__main__.py.
matrix: setup
	@$(PY) -m tests.matrix

bench: setup $(VENV)/.installed-dev
	@$(PIP) bench/requirements.lock
	@$(PY) -m bench

# uv writes locks for every system and every Python from 3.11 at once. What is locked stays at its
# version as far as requirements allow; `make lock UPGRADE=--upgrade` takes the newest of the rest.
UV := var/uv/bin
LOCK = $(UV)/uv pip compile --quiet --universal --generate-hashes --only-binary :all: \
  --custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links --python $(UV)/python --python-version
lock:
	@test -x $(UV)/uv || { $(MAKE_VENV) var/uv && $(UV)/python -m pip install --quiet \
	  --disable-pip-version-check --only-binary :all: uv==0.13.9; }
	@$(LOCK) 3.11 $(UPGRADE) requirements-dev.txt -o requirements.lock
	@cp requirements.lock requirements-production.lock
	@grep -v '^pytest' requirements.txt | $(LOCK) 3.11 - -o requirements-production.lock
	@$(LOCK) 3.11 $(UPGRADE) bench/requirements.txt -o bench/requirements.lock
	@$(LOCK) 3.12 $(UPGRADE) tests/matrix/django-6.0.txt -o tests/matrix/django-6.0.lock
	@if command -v npm >/dev/null; then npm install --silent --package-lock-only; fi

clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis
