# make run | test | check | bench | help. Needs only make and Python 3.11+ with venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: profile test-cluster dashboard page-bench shots whole-day attack hurt-day help setup run chaos test test-mongo test-containers check deploy-check deploy-lock sbom docs client-types bench lock clean client-hour client-wheel conformance evaluate fuzz mcpb

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml mcp_client/pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[fast,test]' -e ./mcp_client
	@touch $(STAMP)

setup: $(STAMP) ## Make .venv with everything

run: $(STAMP) ## Collect and serve on 127.0.0.1:8080 (a simulated market when no venue is reachable)
	$(BIN)/wadm up --or-demo

test: $(STAMP) ## Run every test, with coverage
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report= || { [ $$? = 1 ] && \
		echo 'What failed beside other tests runs once more, alone: named above, and red again if it is broken' && \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 -v \
			--cov --cov-append --cov-report=; }
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='orderflow/ledger.py,orderflow/indicators/volume_profile.py' --fail-under=100

conformance: $(STAMP) ## Run the official MCP conformance suite (needs npm once); writes build/conformance.json
	PYTHONPATH=tests/support $(BIN)/python tests/support/conformance_run.py

mcpb: $(STAMP) ## Build build/wadm.mcpb, the bundle for Claude Desktop and others
	@mkdir -p build && rm -f build/wadm.mcpb
	cd packaging/bundle && ../../$(BIN)/python -m zipfile -c ../../build/wadm.mcpb manifest.json server/

evaluate: $(STAMP) ## Ask an agent 38 questions about the real day (AGENT=module:function or a command)
	$(BIN)/python -m evaluation $(if $(AGENT),--agent '$(AGENT)',--at-least 100)

fuzz: $(STAMP) ## Send 50,000 damaged JSON-RPC messages to a running server
	FUZZ_MESSAGES=50000 $(BIN)/python -m pytest -q tests/mcp_server/test_fuzzed_messages.py --timeout 7200

attack: $(STAMP) ## Send 100,000 malformed requests and try 1,000 wrong keys; writes build/attack.json
	ATTACK_REQUESTS=100000 $(BIN)/python -m pytest -q -s tests/mcp_server/test_malformed_requests.py --timeout 6000
	ATTACK_KEYS=1000 $(BIN)/python -m pytest -q -s tests/nginx/test_wrong_keys.py tests/nginx/test_attacks.py --timeout 3000

test-mongo: $(STAMP) ## Run the store suite and a fail-over against a real replica set: make test-mongo URI=mongodb://...
	@test -n "$(URI)" || { echo "give URI=mongodb://USER:PASSWORD@HOST/?replicaSet=rs0&tls=true"; exit 2; }
	@MONGO_TEST_URI='$(URI)' $(BIN)/python -m pytest tests/contracts/test_store.py tests/backbone/test_mongo_store.py \
		-k 'mongo] or identical or their_index or what_expired or validation or across_chunks or step_down'

test-containers: $(STAMP) ## Build the Dockerfile and run compose's application half in podman; the firewall (root, minutes)
	CONTAINERS=1 $(BIN)/python -m pytest -q -rs -s -p no:xdist tests/deploy/test_firewall.py tests/deploy/test_containers.py

check: $(STAMP) ## Format, lint, types, layers, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONPATH=mcp_client/src $(BIN)/lint-imports --config mcp_client/pyproject.toml
	$(BIN)/python -m pytest -q tests/test_house_rules.py tests/docs

deploy-check: $(STAMP) ## Check compose, Dockerfile, nginx, units, settings and ports, offline
	$(BIN)/python -m pytest -q -rs tests/deploy tests/nginx/test_edge.py -k 'deploy or configuration or lint'

deploy-lock: $(STAMP) ## Write requirements.deploy.lock: hashes, no addresses (needs uv)
	printf 'hatchling\n' | $(BIN)/uv pip compile -q pyproject.toml - --extra fast --extra shared -c requirements.lock \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		-o requirements.deploy.lock

sbom: $(STAMP) ## Write sbom.json (CycloneDX) of the image's Python packages
	$(BIN)/python -m deploy.sbom requirements.deploy.lock sbom.json

docs: $(STAMP) ## Write the indicator sections of docs/indicators.md from the rule cards
	$(BIN)/python -m wadm.indicators_page docs/indicators.md

client-types: $(STAMP) ## Write the client's answer types and cache schemas from the server's OpenAPI document
	$(BIN)/wadm openapi | $(BIN)/python mcp_client/write_types.py > mcp_client/src/wadm_client/types.py
	$(BIN)/wadm openapi | $(BIN)/python mcp_client/write_schemas.py mcp_client/src/wadm_client/schemas

dashboard: ## Build the page's bundle into mcp_server/static (needs Node 20.19 or newer and npm)
	cd dashboard && npm ci && npm run build && npm test

shots: $(STAMP) ## Take the pictures of README and docs: the real day (or a synthetic market) in Chromium (minutes)
	PYTHONPATH=tests/support $(BIN)/python tests/support/shots.py

page-bench: $(STAMP) ## Measure the page's first chart and its frames under updates, write build/dashboard.json
	PYTHONPATH=tests/support $(BIN)/python tests/support/page_bench.py

bench: $(STAMP) ## Measure everything beside its baselines, write build/bench.json (QUICK=1: a short run; PART=road)
	$(BIN)/python -m bench $(if $(QUICK),--quick,) $(PART)

profile: $(STAMP) ## A flame graph of the whole road: build/profile.svg, build/profile.txt (QUICK=1: shorter)
	$(BIN)/python -m bench.profile $(if $(QUICK),--quick,)

client-hour: $(STAMP) ## 100 clients poll for a simulated hour; 10,000 hostile names are written (minutes)
	CLIENT_HOUR=1 $(BIN)/python -m pytest -q -s tests/client/test_client_poller.py \
		tests/client/test_client_cache.py -k 'hundred or hostile' --timeout 3000

chaos: $(STAMP) ## Kill and hurt whole systems, write build/chaos.json (QUICK=1: a minute; SCALE=1: many processes)
	$(BIN)/python -m wadm.chaos $(if $(SCALE),--scale $(if $(RATE),--scale-rate $(RATE)),) $(if $(QUICK),--quick,)

test-cluster: $(STAMP) ## The contract of the bus on three real brokers, and a leader killed
	CLUSTER=1 $(BIN)/python -m pytest -q -s tests/contracts/test_bus.py tests/backbone/test_nats_cluster.py

whole-day: $(STAMP) ## The real day through compose's parts as processes and nginx: 24 exact candles
	WHOLE_DAY=1 $(BIN)/python -m pytest -q tests/journeys/test_public_port.py

hurt-day: $(STAMP) ## The real day with 1 % of its frames hurt and twenty disconnects (many minutes)
	HURT_DAY=1 $(BIN)/python -m pytest tests/journeys/test_hurt_day.py

lock: $(STAMP) ## Write requirements.lock from .venv: names and versions only
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' > requirements.lock

clean: ## Remove .venv and everything built
	rm -rf .venv build dist .coverage* .pytest_cache .mypy_cache .ruff_cache

client-wheel: $(STAMP) ## Build the client's wheel into dist/ and try it: empty environment, size, first answer
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist ./mcp_client
	CLIENT_WHEEL=dist $(BIN)/python -m pytest -q -s tests/client/test_client_wheel.py --timeout 600
