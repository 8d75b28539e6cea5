# make        builds bin/gowsgi
# make demo   serves the Flask example, setting up all it needs
# make test   runs every check and test, setting up all they need
# make bench  compares with other servers (needs `make peers` once)
# make benchmarks  measures and writes docs/benchmarks.md

GO       ?= go
PYTHON   ?= python3
VERSION  := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' python/gowsgi/_version.py)
TOOLS    := .cache/tools
TOOLBIN  := $(TOOLS)/bin/python
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 50000x
BENCHMARKS ?=
PEERS    ?= $(CURDIR)/.cache/peers

.PHONY: all build demo test lint test-pure test-race test-asan test-python test-e2e test-conformance test-foreign test-differential fuzz bench bench-handler benchmarks peers clean FORCE

all: build

build: bin/gowsgi bin/gowsgi-launcher

# The tag leaves out what writes manual pages, and takes a while to be ready, in each process.
bin/gowsgi: FORCE
	CGO_ENABLED=1 $(GO) build -trimpath -tags urfave_cli_no_docs -o $@ ./cmd/gowsgi

# What `gowsgi build` puts in front of a program, linked statically.
bin/gowsgi-launcher: FORCE
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o $@ ./cmd/gowsgi-launcher

# --- the example ---

demo: .cache/prepared build .cache/demo/.done
	bin/gowsgi run --python .cache/demo/bin/python --chdir examples/flask --access-logfile - app:app

.cache/demo/.done: examples/flask/requirements.txt | .cache/prepared
	$(PYTHON) -m venv .cache/demo
	.cache/demo/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

.cache/prepared: tests/prepare.sh
	PYTHON=$(PYTHON) bash tests/prepare.sh
	mkdir -p .cache && touch $@

.cache/prepared-test: tests/prepare.sh
	PYTHON=$(PYTHON) bash tests/prepare.sh test
	mkdir -p .cache && touch $@

# --- tests ---

test: .cache/prepared-test lint test-pure test-race test-asan test-python test-e2e test-conformance test-foreign test-differential fuzz

lint: $(TOOLS)/.done
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt needed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(TOOLBIN) -m ruff check .
	$(TOOLBIN) -m ruff format --check .
	$(TOOLBIN) -m mypy

# What needs no Python and no C compiler must work without. Here allocations are counted
# (TestAllocations): the race detector would add some.
test-pure:
	CGO_ENABLED=0 $(GO) test ./bridge/... ./wsgi/... ./internal/...

test-race: .cache/prepared-test
	$(GO) vet ./... && GOEXPERIMENT=cgocheck2 $(GO) test -race ./...
	$(GO) test -run Allocations ./pyembed
	cd tests/routers && $(GO) vet . && $(GO) test .

# The C part under AddressSanitizer and UndefinedBehaviorSanitizer: the package's own
# tests, then every conformance case on a debug CPython with checked allocations.
# CPython's own allocations live to the end, so leaks are counted elsewhere
# (tests/e2e/test_references.py).
SANITIZE := ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 \
    CGO_CFLAGS="-g -O1 -fsanitize=undefined -fno-sanitize-recover=undefined" CGO_LDFLAGS=-fsanitize=undefined
SANITIZED := .cache/gowsgi-asan run --python /usr/bin/python3-dbg --threads 2 --bind 127.0.0.1:{port} --chdir {dir} {app}
test-asan: .cache/prepared-test
	$(SANITIZE) PYTHONMALLOC=malloc $(GO) test -asan ./pyembed
	$(SANITIZE) $(GO) build -asan -o .cache/gowsgi-asan ./cmd/gowsgi
	$(SANITIZE) PYTHONMALLOC=debug $(PYTHON) -m tests.conformance --server 'sanitized=$(SANITIZED)'

test-python: $(TOOLS)/.done .cache/python3.14
	$(TOOLBIN) tests/python_units.py

# Most tests wait for most of their time, so three run at once; those that hold a
# bound on some time run alone.
E2E_ALONE := tests/e2e/test_cli.py tests/e2e/test_slow_clients.py tests/e2e/test_timeouts.py
test-e2e: build bin/gohandler $(TOOLS)/.done .cache/python3.14
	$(TOOLBIN) -m pytest -n 3 --dist loadfile tests/e2e $(addprefix --ignore=,$(E2E_ALONE))
	$(TOOLBIN) -m pytest $(E2E_ALONE)
	GOWSGI_TEST_SERVER=$(CURDIR)/bin/gohandler $(TOOLBIN) -m pytest $(HANDLED:%=tests/e2e/test_%.py)

# A Go program with an application as its handler, and what it answers like `gowsgi run`.
HANDLED := bodies django flask validate
bin/gohandler: FORCE
	CGO_ENABLED=1 $(GO) build -trimpath -o $@ ./tests/gohandler

test-conformance: build $(TOOLS)/.done
	$(TOOLBIN) -m pytest tests/conformance tests/uwsgi

# Other projects' own tests, fetched from PyPI.
test-foreign: build $(TOOLS)/.done
	$(TOOLBIN) -m pytest tests/foreign

# The parser against h11 and llhttp.
test-differential: $(TOOLS)/.done
	$(TOOLBIN) -m pytest tests/differential

# Each fuzz target for a number of inputs; the seeds run in test-pure. (With a duration,
# `go test -fuzz` sometimes fails with "context deadline exceeded" as the time ends.)
fuzz:
	@for package in $$($(GO) list ./bridge/... ./wsgi/...); do \
	    for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	        echo "$$package $$target"; \
	        CGO_ENABLED=0 $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	    done; \
	done

$(TOOLS)/.done: tests/requirements.txt tests/differential/requirements.txt | .cache/prepared-test
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLBIN) -m pip install --quiet --disable-pip-version-check $(foreach file,$^,-r $(file))
	touch $@

# A CPython newer than systems have, from a Go module.
.cache/python3.14: tests/python_from_go.py
	$(PYTHON) tests/python_from_go.py $@

# --- benchmark ---

peers:
	PEERS=$(PEERS)/bin $(PYTHON) tests/bench/bench.py --setup $(PYTHON)

bench: build
	PEERS=$(PEERS)/bin $(PYTHON) tests/bench/bench.py --app hello,flask

# The table of docs/benchmarks.md: about 35 minutes on an otherwise idle machine.
benchmarks: build
	PEERS=$(PEERS)/bin $(PYTHON) tests/bench/table.py $(BENCHMARKS)

# The handler of a Go program beside `gowsgi run` and net/http alone.
bench-handler: build bin/gohandler
	PEERS=$(PEERS)/bin $(PYTHON) tests/bench/bench.py --only gowsgi,handler,nethttp --app hello,flask --rounds 5 \
	    --cmd 'handler=$(CURDIR)/bin/gohandler run --python {peers}/python --threads {t} --chdir . --bind 127.0.0.1:{port} apps:{app}' \
	    --cmd 'nethttp=$(CURDIR)/bin/gohandler plain --bind 127.0.0.1:{port}'

clean:
	rm -rf bin build dist .cache
