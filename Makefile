# make run     the mail host, in the foreground, on ports of its own
# make test    the whole test suite
# make check   formatter, linter, types, quick tests    (make lint: without the tests)
# make differential   every case with the original and with ours, alone
# make crash   the crash tests in full: every system call, thousands of power cuts
# make fuzz    the fuzz targets under atheris, led by coverage; FUZZ_SECONDS each (20), FUZZ= for some of them
# make setup check     install for the whole machine, as root: QMAILHOME= PREFIX= DESTDIR= WHEELS=; check what is installed
# make users   the users and groups that takes          (make unsetup: take it off again; INSTALL.md)
# make bench   speed, side by side with the originals and with Postfix

PYTHON ?= python3
INSTANCE ?= instance
SMTP_PORT ?= 2525
POP3_PORT ?= 2110
PYTEST ?=
FUZZ ?=
QMAILHOME ?= /var/qmail
PREFIX ?= /usr/local
DESTDIR ?=
WHEELS ?=
VENV = .venv
BIN = $(VENV)/bin

# Needs nothing but the interpreter, and leaves nothing in the source.
SETUP = $(PYTHON) -B -c 'from qmail.admin.setup import main; raise SystemExit(main())' \
	-H "$(QMAILHOME)" -P "$(PREFIX)" $(if $(DESTDIR),-D "$(DESTDIR)") $(if $(WHEELS),-W "$(WHEELS)")

.PHONY: run test check lint format crash differential fuzz bench clean setup instcheck users unsetup wheels

run: $(VENV)/installed
	@$(BIN)/qmail-instance -s 127.0.0.1:$(SMTP_PORT) -p 127.0.0.1:$(POP3_PORT) $(INSTANCE)
	@exec $(BIN)/qmail-serve $(INSTANCE)

test: $(VENV)/tools
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(PYTEST)

ifneq ($(filter setup,$(MAKECMDGOALS)),)
check: instcheck
else
check: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "not slow" --ignore=tests/system --ignore=tests/differential --ignore=tests/crash $(PYTEST)
endif

lint: $(VENV)/tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/tools
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

differential: $(VENV)/tools
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/differential $(PYTEST)

crash: $(VENV)/tools
	CRASH=full $(BIN)/python -m pytest -q -s -n 0 --timeout 7200 tests/crash

fuzz: $(VENV)/tools
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python -m ucspi.core.launchers
	$(BIN)/python -m tests.fuzz $(FUZZ)

bench: $(VENV)/tools
	$(BIN)/python -m bench

setup:
	@$(SETUP) install

instcheck: $(filter setup,$(MAKECMDGOALS))
	@$(SETUP) check

users:
	@$(SETUP) users

unsetup:
	@$(SETUP) remove

# What a machine without a package index needs: make wheels WHEELS=dir there, make setup WHEELS=dir here.
wheels:
	$(PYTHON) -m venv build/wheels
	build/wheels/bin/pip wheel --quiet --disable-pip-version-check --wheel-dir "$(or $(WHEELS),dist/wheels)" . 'setuptools >= 64'

$(VENV)/installed: setup.cfg pyproject.toml ucspi/core/launchers.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m ucspi.core.launchers
	@touch $@

$(VENV)/tools: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	$(BIN)/python -m ucspi.core.launchers
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
