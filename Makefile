# Every check that CI runs is a target here. `make help` lists them.

GO       ?= go
FUZZTIME ?= 20000x
BENCH    ?= .
PREFIX   ?= $(HOME)/.local
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED = 0
BUILD     := $(GO) build -trimpath -ldflags "-s -w -X sandi/cmd.version=$(VERSION)"
PLATFORMS := linux/amd64 linux/arm64 windows/amd64 darwin/arm64

# What `make bench BENCH=family` measures.
BENCH_book   := ./agenda
BENCH_crypto := ./crypto
BENCH_send   := ./mail/... ./cmd/internal/desk
BENCH_paper  := ./agenda/extract ./cmd/internal/desk
BENCH_.      := ./...
ONLY_paper   := Book10000|Paper
ONLY_send    := Transmit|Compose|AppendMbox|Send|Archive|Figures

.DEFAULT_GOAL := build
.PHONY: build demo test race check fuzz cover bench docs dist clean install help

build: ## the program, bin/sandi
	$(BUILD) -o bin/sandi ./cmd/sandi

demo: build ## build and walk both services through a practice office
	bin/sandi demo

test: ## all tests
	$(GO) test -shuffle=on -timeout 25m ./...

race: ## all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 60m ./...

check: ## format, vet, staticcheck, tidy modules, direction of imports, generated texts
	@out=$$($(GO) run $(GOFUMPT) -l agenda cmd crypto mail) && if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	$(GO) test -run 'TestImports|TestCalls|TestErrorMessages|TestMessageCalls|TestErrorDefaults' ./cmd
	@if git rev-parse --git-dir >/dev/null 2>&1; then $(MAKE) --no-print-directory docs && git diff --exit-code -- testdata/help; fi

# By runs, not by time: when a time ends, go 1.26 can take the end for a failure of its own (go.dev/issue/75804).
# A little minimizing only, or it takes most of the runs.
fuzz: ## every fuzz target, FUZZTIME runs each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
	  done; \
	done

cover: ## coverage by package, cover.out
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

bench: ## benchmarks; BENCH=book, crypto, send or paper for one family
	$(GO) test -timeout 60m -run '^$$' -bench '$(or $(ONLY_$(BENCH)),.)' -benchmem $(or $(BENCH_$(BENCH)),$(error BENCH is book, crypto, send or paper))

docs: build ## the help texts under testdata/help
	@mkdir -p testdata/help
	@bin/sandi help --lang id > testdata/help/sandi.id.txt
	@bin/sandi help --lang en > testdata/help/sandi.en.txt

dist: ## dist/: binaries of all platforms and SHA256SUMS
	rm -rf dist && mkdir dist
	@set -e; for p in $(PLATFORMS); do \
	  os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os = windows ] && ext=.exe; \
	  echo "dist/sandi-$$os-$$arch$$ext"; \
	  GOOS=$$os GOARCH=$$arch $(BUILD) -o dist/sandi-$$os-$$arch$$ext ./cmd/sandi; \
	done
	@set -e; $(GO) list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/sandi | sort -u | \
	while read -r path dir; do \
	  mkdir -p dist/licences/$$path; \
	  find $$dir -maxdepth 1 -type f -iname '*licen[cs]e*' -exec cp {} dist/licences/$$path/ \; ; \
	done; chmod -R u+w dist/licences
	cd dist && sha256sum sandi-* > SHA256SUMS

install: build ## the program into PREFIX/bin (default ~/.local)
	install -D -m 755 bin/sandi $(DESTDIR)$(PREFIX)/bin/sandi

clean: ## remove what the other targets made
	rm -rf bin dist cover.out

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
