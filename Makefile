# The verbs of this project. Each one sets up what it needs: Python packages in .venv, Node packages in
# node_modules. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DEPLOYMENT ?= dev
LOCAL ?=
CLOUD ?=
OWNER ?=
EXPIRES_HOURS ?=
ALLOW ?=
UNPROTECT ?=
DRY ?=
JOBS ?=
ENGINE ?=
SHORT ?=
COMPARE ?=
REPOSITORY ?=
ENVIRONMENTS ?=
REGION ?=
QUALIFIER ?=
PROVIDER_ARN ?=
ROLES_FOLDER ?= cdk.out.roles
NAME ?=
SEED_FILE ?=
SEED_LINES ?=
WITHOUT ?=
VERB ?= status
REHEARSAL ?=
ORDER_SECONDS ?=
MOMENT ?=
TO ?=
BENCH ?=
OPTIONS ?=
TESTS ?= tests
LONG ?=

# ENGINE is postgresql or mysql; where it is not given, the settings of the deployment decide.

# The newest Python that is here and new enough; override with PYTHON=/path/to/python3.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
RUN := $(VENV)/bin/python
OPERATE := $(RUN) -m operate
ON_ENGINE = $(if $(ENGINE),--engine "$(ENGINE)")
ON_CLOUD = $(if $(CLOUD),--cloud "$(CLOUD)")
WHERE = $(if $(LOCAL),--local) $(ON_CLOUD)
WHICH = --deployment "$(DEPLOYMENT)" $(ON_ENGINE) $(if $(NAME),--name "$(NAME)") $(WHERE)
MAY_GO = $(if $(ALLOW),--allow "$(ALLOW)")
TAGGED = $(if $(OWNER),--owner "$(OWNER)") $(if $(EXPIRES_HOURS),--expires-hours "$(EXPIRES_HOURS)")
ROLES = --no-notices --app "$(RUN) app_deploy_roles.py" --output "$(ROLES_FOLDER)" -c repository="$(REPOSITORY)" \
	$(if $(ENVIRONMENTS),-c environments="$(ENVIRONMENTS)") $(if $(REGION),-c region="$(REGION)") \
	$(if $(QUALIFIER),-c qualifier="$(QUALIFIER)") $(if $(PROVIDER_ARN),-c provider_arn="$(PROVIDER_ARN)")
SEED = $(if $(SEED_FILE),--seed-file "$(SEED_FILE)") $(if $(SEED_LINES),--seed-lines "$(SEED_LINES)")

.PHONY: help setup local local-status local-destroy test check format synth diff guard deploy destroy leftovers list sweep drift smoke rehearse migrations \
	audit pipeline cost lint-migrations lint-workflows synth-roles deploy-roles acid bench clean

help:  ## list the verbs
	@echo "usage: make VERB [VARIABLE=value ...]"
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.ready node_modules/.ready  ## install what the other verbs need (they do it themselves)

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing: install it, or name it with PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up Python packages in $(VENV) (about two minutes the first time)"
	@$(PYTHON) -m venv $(VENV) || { echo "$(VENV) could not be made, for the reason above; if Python's venv module is missing, install it (Debian: python3-venv)"; exit 1; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(RUN) -m compileall -q lambda
	@touch $@

node_modules/.ready: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is missing: install it, then run this again"; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' \
		|| { echo "Node.js $$(node --version) is too old: 20 or newer is needed"; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 22 ? 0 : 1)' \
		|| echo "Node.js $$(node --version) works, but is past its end of life: 22 or 24 is better"
	@echo "Setting up the CDK CLI in node_modules"
	@npm ci --silent --no-audit --no-fund
	@touch $@

local: setup  ## deploy onto this machine, load and prove it   [ENGINE=mysql] [SEED_FILE=path|SEED_LINES=n] [WITHOUT=network]
	@$(OPERATE) local up $(ON_ENGINE) $(ON_CLOUD) $(SEED) $(if $(WITHOUT),--without "$(WITHOUT)")

local-status: setup  ## show the local deployments again          [ENGINE=mysql, that one alone]
	@$(OPERATE) local status $(ON_ENGINE) $(ON_CLOUD)

local-destroy: setup  ## take them away, and report what is left   [ENGINE=mysql, that one alone]
	@$(OPERATE) local down $(ON_ENGINE) $(ON_CLOUD)

test: setup build/audit/.ready  ## the tests; all with LONG=1           [TESTS=tests/stacks] [LONG=1, eight minutes more]
	@$(RUN) -m pytest $(TESTS) -n auto --dist loadfile --no-loadscope-reorder $(if $(LONG),,-m "not long")

check: setup lint-migrations lint-workflows  ## format, lint, types and the fast tests
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@PYTHONPATH=lambda $(RUN) -m apply_schema validate --files-only --engine postgresql
	@PYTHONPATH=lambda $(RUN) -m apply_schema validate --files-only --engine mysql
	@$(RUN) -m pytest tests/stacks tests/lambdas -n auto -q -m "not slow"

format: setup  ## format the sources
	@$(RUN) -m ruff format . && $(RUN) -m ruff check --fix .

synth: setup  ## write the templates to cdk.out                DEPLOYMENT=name [ENGINE=mysql] [NAME=pr-42]
	@$(OPERATE) synth $(WHICH)

# Of the following, LOCAL=1 means the local cloud in the place of AWS, CLOUD=name which one.
diff: setup  ## say what deploying would change               DEPLOYMENT=name [ENGINE=mysql] [NAME=pr-42]
	@$(OPERATE) diff $(WHICH)

guard: setup  ## say what deploying would take away            DEPLOYMENT=name [ENGINE=mysql] [NAME=pr-42] [ALLOW=LogicalId,...]
	@$(OPERATE) guard $(WHICH) $(MAY_GO)

deploy: setup  ## deploy to AWS, after guard                    DEPLOYMENT=name [ENGINE=mysql] [NAME=pr-42] [OWNER=me] [EXPIRES_HOURS=72] [ALLOW=...] [SEED_FILE=path|SEED_LINES=n]
	@$(OPERATE) deploy $(WHICH) $(SEED) $(TAGGED) $(MAY_GO)

destroy: setup  ## take a deployment away, and all it leaves    DEPLOYMENT=name [ENGINE=mysql] [NAME=pr-42] [UNPROTECT=name]
	@$(OPERATE) destroy $(WHICH) $(if $(UNPROTECT),--unprotect "$(UNPROTECT)")

leftovers: setup  ## look again for what a destroy has left      DEPLOYMENT=name [NAME=pr-42]
	@$(OPERATE) leftovers $(WHICH)

list: setup  ## list environments with owner, age and expiry
	@$(OPERATE) list $(WHERE)

sweep: setup  ## destroy the environments that have expired  [DRY=1]
	@$(OPERATE) sweep $(WHERE) $(if $(DRY),--dry)

drift: setup  ## say what was changed past the templates      DEPLOYMENT=name [NAME=pr-42]
	@$(OPERATE) drift $(WHICH)

smoke: setup  ## run the smoke test again                      DEPLOYMENT=name (local and local-mysql too)
	@$(OPERATE) smoke $(WHICH)

rehearse: setup  ## fail over, restore or upgrade, and compare   REHEARSAL=failover|snapshot|point-in-time|upgrade DEPLOYMENT=name [ORDER_SECONDS=120] [MOMENT=...Z] [TO=version]
	@$(OPERATE) rehearse "$(REHEARSAL)" $(WHICH) $(if $(ORDER_SECONDS),--order-seconds "$(ORDER_SECONDS)") \
		$(if $(MOMENT),--moment "$(MOMENT)") $(if $(TO),--to "$(TO)")

pipeline: setup  ## a pull request's pipeline, on the local cloud  [JOBS="check ephemeral"] [ENGINE=mysql]
	@$(RUN) -m operate.pipeline $(JOBS) $(ON_ENGINE)

cost: setup  ## estimate what a deployment costs            DEPLOYMENT=name [ENGINE=mysql] [COMPARE=production|folder]
	@$(OPERATE) cost $(WHICH) $(if $(COMPARE),--compare "$(COMPARE)")

lint-migrations: setup  ## find what would lock, rewrite or lose data
	@PYTHONPATH=lambda $(RUN) -m operate.migration_lint

lint-workflows: setup  ## find what is wrong or unsafe in .github
	@$(VENV)/bin/zizmor --quiet --no-progress --offline --strict-collection --persona pedantic .github

synth-roles: setup  ## write the pipelines' roles to cdk.out.roles    REPOSITORY=owner/name [ENVIRONMENTS=dev] [QUALIFIER=shopprod]
	@node_modules/.bin/cdk synth --quiet $(ROLES)

deploy-roles: setup  ## give a repository's pipelines their roles     REPOSITORY=owner/name [ENVIRONMENTS=dev] [QUALIFIER=shopprod]
	@node_modules/.bin/cdk deploy --all $(ROLES)

migrations: setup  ## run the migrator where the database is      DEPLOYMENT=name VERB=status [OPTIONS=--json]
	@$(OPERATE) migrations "$(VERB)" $(WHICH) $(OPTIONS)

acid: setup  ## show ACID with counts, and a page                [ENGINE=mysql] [SHORT=1]
	@$(RUN) -m acid $(if $(ENGINE),--engine "$(ENGINE)") $(if $(SHORT),--short)

audit: setup build/audit/.ready  ## look at all deployments with every scanner [OPTIONS="dev production --engine mysql"]
	@$(RUN) -m audit $(OPTIONS)

build/audit/.ready: requirements-audit.txt
	@echo "Setting up the scanners in build/audit (about half a minute the first time)"
	@rm -rf build/audit && mkdir -p build/audit/cfn-guard
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target build/audit/python \
		--constraint requirements-audit.txt cdk-nag cdklabs.cdk-validator-cfnguard
	@tar -xzf build/audit/python/cdklabs/cdk_validator_cfnguard/_jsii/*.tgz -C build/audit/cfn-guard \
		--strip-components 1 package/bin package/rules
	@$(PYTHON) -m venv build/audit/checkov
	@build/audit/checkov/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint requirements-audit.txt checkov
	@touch $@

bench: setup build/bench/.ready  ## measure against the floors, in one run     [BENCH="name ..."] [BENCH="orders --short"]
	@$(RUN) -m bench $(BENCH)

build/bench/.ready: requirements-bench.txt bench/package.json
	@echo "Setting up what is measured beside ours in build/bench"
	@rm -rf build/bench && mkdir -p build/bench
	@$(RUN) -m pip install --quiet --disable-pip-version-check --target build/bench/python -r requirements-bench.txt
	@cp bench/package.json build/bench/ && npm install --prefix build/bench --no-package-lock --silent --no-audit --no-fund
	@touch $@

clean:  ## remove what the verbs made here (not the local deployment: make local-destroy)
	@rm -rf build cdk.out $(VENV) node_modules
