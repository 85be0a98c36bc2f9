# Everything that can be done here. `make` alone explains it.
# Run with GNU make. What is built goes to bin/, what is kept for later to .cache/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# Time for each fuzz target: 10s, or 1000x for a number of inputs.
FUZZTIME ?= 10s
# Of the demo: table or json.
OUTPUT ?= table
# Where the vulnerability database can't be reached: fail, or only report that.
UNREACHABLE ?= fail
# More arguments for go test, as in ARGS='-run TestDecide -v'.
ARGS ?=

# Of e2e-update, as in v1.37.0 and v2.22.0: what isn't given stays as it is.
KUBERNETES ?=
KEDA ?=

TOOLS := $(CURDIR)/.cache/tools

.PHONY: help
help: ## Explain the targets
	@printf 'make TARGET [NAME=VALUE ...]\n\n'
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@printf '\nTests and demo start private PostgreSQL servers. Where PostgreSQL is missing it is\ninstalled on Debian and Ubuntu by root; others are told what to install.\n'

.PHONY: build
build: ## Build bin/headroom
	go build -trimpath -o bin/headroom ./cmd/headroom

.PHONY: demo
demo: export DEMO_DSN := $(or $(value DSN),$(value DEMO_DSN))
demo: ## Show what Headroom is for, in 4 minutes at most (DSN=… another PostgreSQL than a private one, OUTPUT=json)
	@[ -n "$$DEMO_DSN" ] || .ci/install postgresql
	@go run ./cmd/demo --output $(OUTPUT)

# Where nothing runs beside anything the race detector finds nothing, and makes
# everything many times slower: these are tested without it. Without tables for a
# debugger (-w) linking takes a quarter less.
UNRACED := policy|internal/(simulation|explorer|agescore|forecast|clairvoyant)

.PHONY: test
test: ## Run all tests, with the race detector where anything runs beside anything (ARGS='-run TestDecide -v')
	@.ci/install postgresql cc
	go test -race -ldflags=-w -p 4 -timeout 20m $(or $(ARGS),$$(go list ./... | grep -vE '/headroom/($(UNRACED))$$')) $(if $(ARGS),./...)
	$(if $(ARGS),,@$(MAKE) --no-print-directory simulation)
	$(if $(ARGS),,@$(MAKE) --no-print-directory test-manifests)

# In a module of their own, so that Headroom's needs neither kustomize nor Prometheus.
.PHONY: test-manifests
test-manifests: ## Build manifests, play alerts, hold dashboard, permissions and examples to what is there
	go -C manifests/tests test -timeout 20m ./...

.PHONY: simulation
simulation: ## Play random schedules and explore small worlds, and both again with mistakes seeded; hold decisions to their invariants
	go test -timeout 20m ./policy ./internal/agescore ./internal/forecast ./internal/clairvoyant
	GOGC=400 go test -timeout 60m -count=1 -v ./internal/simulation
	GOGC=400 go test -timeout 60m -count=1 ./internal/explorer

# As far as memory goes: 3 million states of each scene, 6 GB at most, half an hour.
.PHONY: explore
explore: ## Explore each small world as far as 3 million states, then walk through it at random (SCENE=takeover SEED=1 WALKS=20000)
	GOGC=200 go run ./internal/explorer/cmd --scene '$(SCENE)' --search --walks $(or $(WALKS),20000) --seed $(or $(SEED),1)

.PHONY: faults
faults: ## Look for a schedule that shows each mistake that can be seeded into the decision: minutes for each
	HEADROOM_FAULTS=all GOGC=400 go test -timeout 24h -count=1 -v -run '^TestFaults$$' ./internal/simulation

.PHONY: schedules
schedules: ## Play as many random schedules of the closed loop as you like: 16 ms of a processor for each (SCHEDULES=100000)
	HEADROOM_SCHEDULES=$(or $(SCHEDULES),100000) GOGC=400 go test -timeout 24h -count=1 -v -run '^TestClosedLoop$$' ./internal/simulation

.PHONY: traces
traces: ## Play weeks of real traffic, and print how far the age of messages is off, and what an objective costs: in 10 minutes
	HEADROOM_TRACES=all go test -timeout 2h -count=1 -v -run 'Age|Objective' ./internal/agescore ./internal/clairvoyant

# A real control plane, KEDA, PostgreSQL and workers, as child processes: one package
# at a time, as each fills a small machine.
.PHONY: e2e
e2e: e2e-build ## Run the end-to-end tests (ARGS='-run TestKEDA -v ./cluster')
	@.ci/install postgresql
	go -C e2e test -count=1 -p 1 -timeout 60m $(or $(ARGS),./...)

# The leader is killed and paused twice in make e2e; this is for as often as you like.
.PHONY: e2e-kills
e2e-kills: e2e-build ## Kill and pause Headroom's leader again and again in mid-burst: 20 s for each (KILLS=50 PAUSES=50)
	@.ci/install postgresql
	HEADROOM_E2E_KILLS=$(or $(KILLS),50) HEADROOM_E2E_PAUSES=$(or $(PAUSES),50) \
		go -C e2e test -count=1 -v -timeout 5h -run '^TestTwoMindsNeverPromiseTheSame$$' $(ARGS) ./acceptance

# make e2e rolls out what covers them.
.PHONY: e2e-rollouts
e2e-rollouts: e2e-build ## Roll out Deployments of every size and strategy behind the gate, in half an hour
	@.ci/install postgresql
	HEADROOM_E2E_ROLLOUTS=all go -C e2e test -count=1 -v -timeout 5h -run '^TestRolloutsEnd$$' $(ARGS) ./acceptance

.PHONY: e2e-build
e2e-build: ## Build the control plane and KEDA that they run on: 15 minutes, once for each version
	go -C e2e run ./cmd/build

# Names of scenarios and contenders, with commas between; nothing means all.
.PHONY: bench-cluster
bench-cluster: e2e-build ## Play all scenarios for all contenders and write docs/benchmarks, in an hour and three quarters (SCENARIO=burst CONTENDER=stock,formula SEEDS=3 ARGS='--lanes 5')
	@.ci/install postgresql
	go -C e2e run ./cmd/bench --scenario '$(SCENARIO)' --contender '$(CONTENDER)' --seeds $(or $(SEEDS),1) $(ARGS)

.PHONY: e2e-update
e2e-update: ## Move them to other versions (KUBERNETES=v1.37.0 KEDA=v2.22.0)
	go -C e2e run ./cmd/update --kubernetes '$(KUBERNETES)' --keda '$(KEDA)'

.PHONY: check-purity
check-purity: ## Fail where packages policy or metrics depend on anything that does I/O, and say through what
	@.ci/check-purity

.PHONY: lint
lint: $(TOOLS)/installed ## Check formatting, and everything that go vet and golangci-lint know of
	@.ci/lint $(TOOLS)/golangci-lint

.PHONY: vuln
vuln: $(TOOLS)/installed ## Look for known vulnerabilities in what the program calls (UNREACHABLE=report)
	@.ci/vuln $(TOOLS)/govulncheck $(UNREACHABLE)

.PHONY: fuzz
fuzz: ## Feed every parser what it does not expect (FUZZTIME=10s for each)
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## Run the benchmarks
	@.ci/install postgresql
	go test -run '^$$' -bench . -benchmem $(ARGS) ./...

.PHONY: cover
cover: ## Say how much of the code the tests run, by function in .cache/cover.html
	@.ci/install postgresql
	@mkdir -p .cache
	go test -timeout 20m -coverpkg=./... -coverprofile=.cache/cover.out $(ARGS) ./...
	go tool cover -html=.cache/cover.out -o .cache/cover.html
	go tool cover -func=.cache/cover.out | tail -n 1

# Files that are derived from the code; the tests that hold them to it write them.
.PHONY: generate
generate: ## Rewrite what is derived: schemas, references, golden files
	go test -count=1 ./policy -run 'Documents|Reference|Schema|Golden|Scenario|Story' -update
	go test -count=1 ./cmd/headroom -run Documented -update
	go -C manifests/tests test -count=1 . -run RuleObject -update
	go test -count=1 ./cmd/headroom/lint ./cmd/headroom/policytest ./cmd/headroom/why ./internal/policytest -update

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin .cache

# Pinned in a module of their own, so that Headroom's has only what it needs.
$(TOOLS)/installed: .ci/tools/go.mod .ci/tools/go.sum
	GOBIN=$(TOOLS) go -C .ci/tools install tool
	@touch $@
