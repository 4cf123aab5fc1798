# `make` alone prints what there is to make.

# Where there is a go.work, -modfile may not be: there the linter's own path is needed.
LINTER   := go tool -modfile=$(CURDIR)/.ci/tools.mod -n golangci-lint
GOLANGCI := go tool -modfile=$(CURDIR)/.ci/tools.mod golangci-lint
INTEROP  := zkdiscovery/serverplugin/interop
# What operators use, each a module of its own; those that need the library take it from this tree by a go.work. .ci/tidy is go mod tidy for them.
MODULES  := zkdiscovery/prometheus zkdiscovery/otel zkdiscovery/cmd/holdfast example/operating tests/browser tests/kubernetes

FUZZTIME ?= 30s
COUNT    ?= 10
SEEDS    ?= 10000
DURATION ?= 10m

# The tests on a real ZooKeeper fail rather than skip once there is one. .ci/zookeeper installs it where it can, or says what to install.
REAL = export HOLDFAST_REAL_ZOOKEEPER="$${HOLDFAST_REAL_ZOOKEEPER:-$$(.ci/zookeeper && echo required)}"
# The test in a browser fails rather than skips once there is one.
BROWSER  = export HOLDFAST_BROWSER="$${HOLDFAST_BROWSER:-$$(.ci/chromium && echo required)}"

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## watch calls go on while servers and ZooKeeper die and come back (30 s, needs only Go)
	go run ./example

# With the race detector and in any order. What `make lint` vets is not vetted again, and without DWARF the tests link in two thirds of the time.
TEST = test -race -shuffle=on -vet=off -ldflags=-w

# Two parts at a time: much of what bench, interop and the modules do is waiting.
.PHONY: test
test: ## all tests with the race detector (most of tests/weather without, for speed), on a real ZooKeeper too (installs Debian's when run as root)
	@$(REAL); $(BROWSER); $(MAKE) --no-print-directory -j2 library histories harness interop modules

.PHONY: library
library: ## the part of make test in the library's own module
	@$(REAL); set -x; go $(TEST) -p=3 -timeout=12m ./zkdiscovery/... ./...

.PHONY: histories
histories: ## the part of make test that plays the fixed seeds of tests/weather
	@set -x; go test -timeout=10m ./tests/weather

.PHONY: harness
harness: ## the part of make test in the modules of bench
	@$(REAL); set -x; go -C bench $(TEST) -timeout=8m ./... && go -C bench test -run=Selectors -timeout=2m . && go -C bench/dubbogo test -shuffle=on -timeout=5m ./...

.PHONY: interop
interop: ## the part of make test in which old and new servers and clients work together (a module of its own)
	@$(REAL); set -x; go -C $(INTEROP) $(TEST) -timeout=5m ./...

.PHONY: modules
modules: ## the part of make test in the modules that operators install
	@$(BROWSER); for module in $(MODULES); do (set -x; go -C $$module $(TEST) -timeout=5m ./...) || exit 1; done

.PHONY: screenshots
screenshots: ## pictures of the status page before, during and after an outage, in bin/screenshots
	@mkdir -p bin/screenshots
	HOLDFAST_BROWSER=required HOLDFAST_SCREENSHOTS=$(CURDIR)/bin/screenshots go -C tests/browser test -count=1 ./...

# What 3.4 does not have: a dump of sessions as 3.8 writes it, the removal of watches, 3.8's idea of a path.
COMPAT_NOT_34 = KnowsNoSessionAfterClose|AgreesAboutPaths|RemovesTheWatches

.PHONY: compat
compat: ## the tests on real ZooKeepers again on 3.4.13 and 3.9 (Debian's archive; elsewhere they are left out, with a word), and all without the wire extension
	HOLDFAST_WIRE=off go test $(COMPAT) -count=1 -timeout=5m . ./tests/lists
	HOLDFAST_WIRE=off go test $(COMPAT) -count=1 -run='TestWeather$$' -timeout=5m ./tests/weather
	go test $(COMPAT) -count=1 -run=Switching -timeout=5m ./tests/lists -switch.rounds=334
	@set -e; homes=$$(.ci/zookeeper-versions "$${COMPAT_DIR:-/tmp/holdfast-zookeeper-versions}"); for home in $$homes; do \
		export HOLDFAST_REAL_ZOOKEEPER=required ZOOKEEPER_HOME=$$home; skip='^$$'; \
		case $$home in */3.4.*) skip='$(COMPAT_NOT_34)';; esac; set -x; \
		go test $(COMPAT) -timeout=5m .; \
		go test $(COMPAT) -run 'Real' -skip "$$skip" -timeout=5m ./zkdiscovery/internal/session ./zkdiscovery/serverplugin; \
		go test $(COMPAT) -run 'TestAnswersAre|TestConversations' -timeout=5m ./zkdiscovery/zktest; \
		{ set +x; } 2>/dev/null; \
	done; set -x; \
	go test -count=1 -run=RollingUpgrade -timeout=8m ./tests/storm -upgrade="$$(echo $$homes | sed 's/ / installed /')"

.PHONY: lint
lint: ## the linters of .golangci.yml, go vet for Linux, Windows and macOS, no binary committed (the first run builds the linters: minutes)
	$(GOLANGCI) run
	GOOS=linux go vet ./...
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	cd bench && $(GOLANGCI) run && go vet ./...
	cd bench/dubbogo && $(GOLANGCI) run && go vet ./...
	cd $(INTEROP) && $(GOLANGCI) run && go vet ./...
	@linter=$$($(LINTER)) && for module in $(MODULES); do (set -x; cd $$module && "$$linter" run && go vet ./...) || exit 1; done
	@! git diff --cached --numstat "$$(git hash-object -t tree /dev/null)" | grep '^-' || { echo 'binary files are committed'; exit 1; }

.PHONY: format
format: ## rewrite the code as lint wants it formatted
	$(GOLANGCI) fmt

.PHONY: weather
weather: ## SEEDS=10000 random histories of processes, networks, disks and operators against what ZooKeeper has held (half an hour)
	go test ./tests/weather -run=TestWeather -count=1 -v -timeout=24h -weather.seeds=$(SEEDS)

.PHONY: mutants
mutants: ## put faults into the library, one at a time, and see after how many histories tests/weather notices (hours)
	go run ./tests/weather/mutants
	go run ./tests/weather/mutants -draw=15

.PHONY: storm
storm: ## a real ensemble of three is killed, paused, wiped and restarted for DURATION=10m while XClients call (needs ZooKeeper)
	@$(REAL); set -x; go test ./tests/storm -run=Storm -count=1 -v -timeout=24h -storm=$(DURATION)

.PHONY: soak
soak: ## what a client of 500 services takes in DURATION=10m, as a plot in bin/soak.svg
	@mkdir -p bin
	go test ./tests/storm -run=Soak -count=1 -v -timeout=240h -soak=$(DURATION) -soak.out=$(CURDIR)/bin/soak.svg

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME=30s each
	@grep -rE --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]+' . | sed 's/:func / /' | sort | while read -r file target; do \
		(set -x; go test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) "$$(dirname "$$file")") || exit 1; \
	done

.PHONY: bench
bench: ## measure beside rpcx-zookeeper, dubbo-go and Curator, which it installs where it can (25 minutes; BENCHFLAGS=-quick takes less than 3)
	@$(REAL); .ci/curator || true; set -x; go -C bench/dubbogo build -o /dev/null . || true; cd bench && go run . $(BENCHFLAGS)

.PHONY: microbench
microbench: ## every go test benchmark, on a real ZooKeeper where it matters
	@$(REAL); set -x; go test -run='^$$' -bench=. -benchmem -timeout=60m -p=1 ./...

.PHONY: stress
stress: ## all tests COUNT=10 times in random order, to find the flaky ones
	@$(REAL); set -x; go test -race -shuffle=on -count=$(COUNT) -failfast -timeout=120m ./...

.PHONY: cover
cover: ## statement coverage of each package by all tests; the whole of it in bin/cover.html
	@mkdir -p bin
	@$(REAL); go test -coverpkg=./... -coverprofile=bin/cover.out ./... && go tool cover -html=bin/cover.out -o bin/cover.html
	@go tool cover -func=bin/cover.out | tail -1
