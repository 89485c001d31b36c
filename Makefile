# Everything a user or contributor runs; `make` alone lists it.
#
# PYTHON=...    the interpreter that makes the virtual environment (3.11 or newer)
# VENV=...      where the virtual environment lies
# PIP_ARGS=...  more arguments for pip, for instance another index
# TEST_PROCESSES=...  in how many processes `make test` runs; 0 is one that a debugger can stop
# BASE=...      encoder that `make english` starts from: a folder or a hub name
# LIVE_BASE=... the same of `make english-live`
# CORPUS=...    manifest that `make english` trains on, with the splits train and dev
# PEOPLE=...    the same, of people, made by `make english-people` from
# QUEEN=...     the unpacked package flight-of-the-amazon-queen, and
# SPEECHOCEAN=... a clone of speechocean762; and, if named, of more people:
# LIBRISPEECH=... AN4=... COMMON_VOICE=... folders that model_export/corpora/*.py of these names describe
# LM=...        n-gram model that its bundle takes along, made by `make english-lm`
# TEXT=...      folder that `make english-corpus` reads, made by model_export.corpora.english_text
# HOURS=...     how much of it `make english-corpus` speaks
# KOKORO=...    folder with kokoro-v1.0.onnx and voices-v1.0.bin, as kokoro-onnx publishes them
# SPANISH_...   the like for `make spanish-corpus` and `make spanish`
# BENCH_...     how long and with what `make bench` measures: tests/benchmarks/options.py
# STT_PORT=...  port of `make serve`; every other STT_ setting is passed on too

VENV ?= .venv
PYTHON ?=
PIP_ARGS ?=
PYTEST_ARGS ?=
TEST_PROCESSES ?= 3

BASE ?= openai/whisper-base
LIVE_BASE ?= openai/whisper-tiny.en
CORPUS ?= data/synthetic-en/manifest.jsonl
PEOPLE ?= data/english-people/manifest.jsonl
QUEEN ?= data/queen
SPEECHOCEAN ?= data/speechocean762
LIBRISPEECH ?=
AN4 ?=
COMMON_VOICE ?=
MORE_PEOPLE = $(if $(LIBRISPEECH),--librispeech $(LIBRISPEECH)) $(if $(AN4),--an4 $(AN4)) \
	$(if $(COMMON_VOICE),--common-voice $(COMMON_VOICE))
LM ?=
TEXT ?= data/english-text
HOURS ?= 14
KOKORO ?= data/kokoro
KOKORO_MODEL ?= $(KOKORO)/kokoro-v1.0.onnx
KOKORO_VOICES ?= $(KOKORO)/voices-v1.0.bin
# Half of the clips in Kokoro's voices, the rest in those of engines that sound otherwise.
COMMA := ,
AMERICANS := af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_river af_sarah \
	af_sky am_adam am_echo am_eric am_fenrir am_michael am_onyx am_puck am_santa
BRITONS := bf_alice bf_emma bf_isabella bm_fable bm_george bm_lewis
OTHERS := ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola pf_dora pm_alex
KOKORO_NAMES := $(subst $() ,$(COMMA),$(strip $(AMERICANS) $(BRITONS) $(OTHERS)))
ENGLISH_VOICES := --voices kokoro:$(KOKORO_NAMES)@6 --voices flite:slt,rms@2 \
	--voices rhvoice:alan,bdl,clb,slt@3 --voices pico:en-US,en-GB@2 \
	--dev-voices kokoro:af_nova,am_liam,bf_lily,bm_daniel
ENGLISH_TEXTS = $(addprefix $(TEXT)/,austen.txt wordnet.txt chat.txt addresses.txt numbers.txt)
ENGLISH_MODEL := --language en --digits spell --add 2 --replace last:2 --mixer wsm --window 8 \
	--also-train final-norm
ENGLISH_PEOPLE = $(ENGLISH_MODEL) --start runs/english-voices --train '$(PEOPLE)\#train' \
	--train '$(CORPUS)\#train' --dev '$(PEOPLE)\#dev' --augment-batches --batch-seconds 200 \
	--evaluations 7
ENGLISH_CLIPS := $(addprefix tests/assets/speech/,kokoro-001936.opus librivox-0880.flac)
ENGLISH_DATA := --data 'synthetic English speech: Kokoro-82M voices (Apache-2.0)' \
	--data 'RHVoice alan, bdl, clb, slt (LGPL-2.1) and SVOX Pico en-US, en-GB (Apache-2.0)' \
	--data 'flite voices slt and rms (free licence of CMU)'
PEOPLE_DATA = --data 'speechocean762 by Zhang et al. (CC BY 4.0), all but 45 speakers' \
	--data 'dialogue of Flight of the Amazon Queen by Passfield and Stamatiadis (its free licence)' \
	$(if $(LIBRISPEECH),--data 'LibriSpeech dev-clean by Panayotov et al. (CC BY 4.0)') \
	$(if $(AN4),--data 'AN4 by Carnegie Mellon University (its free licence)') \
	$(if $(COMMON_VOICE),--data 'Common Voice by Mozilla, first release, part dev (CC0 1.0)')
ENGLISH_LM = --language-model $(LM) --lm-weight 1.7 --word-score 1.0 --beam 250 \
	--lm-text 'Jane Austen without Sense and Sensibility (public domain)' \
	--lm-text 'WordNet usage examples (WordNet licence)' --lm-text 'chitchat-dataset (MIT)' \
	--lm-text 'addresses of presidents of the United States (public domain)' \
	--lm-text "words of SCOWL's spelling dictionary (SCOWL licence)" \
	--lm-text 'a grammar of numbers (this project)' --lm-text 'texts of the training clips'

SPANISH_TEXT ?= data/spanish-text
SPANISH_CORPUS ?= data/synthetic-es/manifest.jsonl
# As the plan reckons; 2.6 hours were spoken for the bundle of spanish_notes.md.
SPANISH_HOURS ?= 2.3
SPANISH_LM ?=
SPANISH_VOICES := --voices pico:es-ES@4 --voices kokoro:ef_dora,em_alex@1 \
	--dev-voices kokoro:em_santa,if_sara --dev-clips 80 --kokoro-language es
SPANISH_TEXTS = $(addprefix $(SPANISH_TEXT)/,bible.txt proverbs.txt chat.txt everyday.txt)
SPANISH_DATA := --data 'synthetic Spanish speech: SVOX Pico es-ES and Kokoro-82M voices (both Apache-2.0)'
SPANISH_LM_FACTS = --language-model $(SPANISH_LM) --lm-weight 1.6 --word-score 0.5 --beam 100 \
	--lm-text 'Reina-Valera of 1909 (public domain)' --lm-text 'traditional sayings (public domain)' \
	--lm-text 'chatterbot-corpus (BSD-3-Clause)' --lm-text 'a grammar of every day (this project)'

BIN := $(VENV)/bin
SERVE_STAMP := $(VENV)/.installed-serve
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
# A file stays in one process, for what its tests share; the long ones come first by name.
IN_PROCESSES := -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
RELIABILITY := $(BIN)/python -m pytest -s $(PYTEST_ARGS)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help serve install test test-containers fuzz faults drain same-text soak test-access lock bench gpu-report check format clean \
	english-corpus english-people english-lm english english-live spanish-corpus spanish-lm spanish
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

serve: $(SERVE_STAMP) ## install the service if needed (no torch) and run it on port 8000 (STT_PORT)
	@echo "==> Starting the server; Ctrl-C stops it"
	@$(BIN)/wsm-serve run

install: $(DEV_STAMP) ## install everything: service, export (with torch) and developers' tools

test: $(DEV_STAMP) ## install everything if needed and run all tests but the benchmarks, in about ten minutes
	@echo "==> Running the tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PROCESSES) $(PYTEST_ARGS)

bench: $(BENCH_STAMP) ## run the benchmarks, for some hours; they print tables
	@echo "==> Running the benchmarks (tests/benchmarks/options.py says what can be chosen)"
	@$(BIN)/python -m pytest -m bench tests/benchmarks -s $(PYTEST_ARGS)

test-containers: $(DEV_STAMP) ## build docker/compose.yaml, run it and test it; needs docker (IMAGES="gpu export": these too)
	@$(BIN)/python -m pytest -m containers tests/containers $(PYTEST_ARGS)

test-access: $(DEV_STAMP) ## test what keeps strangers out, and what images and bundles are made of
	@$(BIN)/python -m pytest tests/unit/service/access tests/unit/service/test_server.py \
		tests/unit/service/test_keys_command.py tests/unit/service/test_signatures.py \
		tests/unit/test_supply_chain.py tests/integration/test_access.py \
		tests/integration/test_exposure.py tests/operations/test_kubernetes.py $(PYTEST_ARGS)

lock: $(DEV_STAMP) ## lock anew what images install, with hashes, and list its licences
	@docker/lock.sh $(BIN)

fuzz: $(DEV_STAMP) ## try to break the server by 20,000 mutated uploads and the like, for half an hour
	@FUZZ_UPLOADS=20000 FUZZ_SOCKETS=1000 FUZZ_EXAMPLES=50 FUZZ_READS=20000 $(RELIABILITY) \
		$(patsubst %,tests/reliability/test_%.py,uploads sockets schema readers)

faults: $(DEV_STAMP) ## let everything around the server fail, one after the other
	@$(RELIABILITY) $(addprefix tests/reliability/,test_faults.py test_full_disk.py test_drain.py) \
		$(addprefix tests/integration/,test_damaged_bundle.py test_many_bundles.py \
			test_jobs_restart.py test_leaving.py test_exposure.py test_websocket.py) \
		$(addprefix tests/unit/service/,isolation/test_files.py test_runner.py \
			streaming/test_chunk_loop.py jobs/test_store.py)

drain: $(DEV_STAMP) ## stop a busy server 50 times, and see that nothing is lost
	@DRAINS=50 $(RELIABILITY) tests/reliability/test_drain.py

same-text: $(DEV_STAMP) ## hear the same alone, in company, with any threads and after restarts
	@$(RELIABILITY) tests/reliability/test_restarts.py \
		$(patsubst %,tests/integration/test_same_%.py,logits text)

soak: $(DEV_STAMP) ## an hour of mixed load (SOAK_S=3600)
	@SOAK_S=$(or $(SOAK_S),3600) $(RELIABILITY) tests/reliability/test_soak.py

gpu-report: $(DEV_STAMP) ## measure what only a CUDA device can show, as Markdown tables
	@$(BIN)/python -m tests.benchmarks.gpu_report

english-corpus: $(DEV_STAMP) ## speak TEXT into CORPUS by free voices, for some hours
	@echo "==> Speaking $(HOURS) hours of $(TEXT) into $(dir $(CORPUS)); stopped runs go on"
	@$(PIP_INSTALL) --quiet --editable '.[synthesis]'
	@$(BIN)/wsm-export synthesise $(ENGLISH_TEXTS) --out $(dir $(CORPUS)) --hours $(HOURS) \
		$(ENGLISH_VOICES) --kokoro-model $(KOKORO_MODEL) --kokoro-voices $(KOKORO_VOICES) \
		$(addprefix --held-out ,$(wildcard $(TEXT)/held-out/*.txt))

english-lm: $(DEV_STAMP) ## make LM, the n-gram model of `make english`, from TEXT, CORPUS and PEOPLE, in minutes
	@$(BIN)/wsm-export language-model $(ENGLISH_TEXTS) '$(CORPUS)#train' '$(PEOPLE)#train' \
		--out $(LM) --known-words $(TEXT)/words.txt --held-out '$(CORPUS)#dev' \
		--held-out '$(PEOPLE)#dev' --held-out '$(PEOPLE)#test' \
		$(addprefix --held-out ,$(wildcard $(TEXT)/held-out/*.txt)) \
		--like service/bundles/english --max-bytes 10500000

english-people: $(DEV_STAMP) ## make PEOPLE of QUEEN, SPEECHOCEAN and what else is named (english_people.py tells how to get them)
	@$(BIN)/python -m model_export.corpora.english_people $(QUEEN) $(SPEECHOCEAN) $(dir $(PEOPLE)) \
		$(MORE_PEOPLE)

english: $(DEV_STAMP) ## train and export an English bundle like the shipped one, from BASE, CORPUS, PEOPLE and LM
	@echo "==> Fine-tuning $(BASE) on $(CORPUS), then $(PEOPLE); stopped runs go on where they were"
	@$(BIN)/wsm-export finetune --base $(BASE) $(ENGLISH_MODEL) --copies 2 --epochs 4 \
		--cache-features runs/cache --train '$(CORPUS)#train' --dev '$(CORPUS)#dev' \
		--out runs/english-voices
	@$(BIN)/wsm-export finetune --base $(BASE) $(ENGLISH_PEOPLE) --max-steps 1400 \
		--out runs/english-top
	@$(BIN)/wsm-export finetune --base $(BASE) $(ENGLISH_PEOPLE) --max-steps 1800 \
		--also-train all --learning-rate 1.5e-4 --out runs/english-whole
	@test -d runs/english-run || $(BIN)/wsm-export blend runs/english-top \
		runs/english-whole --share 0.5 --out runs/english-run
	@$(BIN)/wsm-export export runs/english-run --out runs/english --name english \
		--precision int8 --ranges '$(PEOPLE)#dev' --weights float16 --longest-pass 28 \
		$(if $(LM),$(ENGLISH_LM)) $(ENGLISH_DATA) $(PEOPLE_DATA) \
		$(addprefix --clip ,$(ENGLISH_CLIPS)) \
		$(addprefix --measured ,$(wildcard runs/measured/*.json)) \
		--base-name openai/whisper-base --base-licence MIT --licence Apache-2.0 \
		--notes model_export/corpora/english_notes.md \
		--summary 'Trained on synthetic voices and on people.'

english-live: $(DEV_STAMP) ## train and export an English bundle for live audio, from LIVE_BASE, CORPUS and LM
	@echo "==> Fine-tuning $(LIVE_BASE) on $(CORPUS); stopped runs go on; wants a GPU"
	@$(BIN)/wsm-export finetune --base $(LIVE_BASE) --train '$(CORPUS)#train' \
		--dev '$(CORPUS)#dev' --language en --digits spell --streaming --replace all --add 2 \
		--window 16 --window-weights learned --also-train all --augment-batches \
		--init distil --match-epochs 0.4 --distil-epochs 1.7 --epochs 15 --batch-seconds 160 \
		--learning-rate 6e-4 --out runs/english-live-run
	@$(BIN)/wsm-export export runs/english-live-run --out runs/english-live \
		--name english-live --precision int8 --ranges '$(CORPUS)#dev' --weights float16 \
		--longest-pass 28 $(if $(LM),$(ENGLISH_LM)) $(ENGLISH_DATA) \
		$(addprefix --clip ,$(ENGLISH_CLIPS)) \
		$(addprefix --measured ,$(wildcard runs/measured-live/*.json)) \
		--base-name openai/whisper-tiny.en --base-licence MIT --licence Apache-2.0 \
		--notes model_export/corpora/english_live_notes.md \
		--summary 'For live audio. Trained on synthetic voices only.'

spanish-corpus: $(DEV_STAMP) ## speak SPANISH_TEXT into SPANISH_CORPUS by free voices, in half an hour
	@echo "==> Speaking $(SPANISH_HOURS) hours into $(dir $(SPANISH_CORPUS)); stopped runs go on"
	@$(PIP_INSTALL) --quiet --editable '.[synthesis]'
	@$(BIN)/wsm-export synthesise $(SPANISH_TEXTS) --out $(dir $(SPANISH_CORPUS)) \
		--hours $(SPANISH_HOURS) --seed 5 \
		$(SPANISH_VOICES) --kokoro-model $(KOKORO_MODEL) --kokoro-voices $(KOKORO_VOICES) \
		$(addprefix --held-out ,$(wildcard $(SPANISH_TEXT)/held-out/*.txt))

spanish-lm: $(DEV_STAMP) ## make SPANISH_LM, the n-gram model of `make spanish`
	@$(BIN)/wsm-export language-model $(SPANISH_TEXTS) --out $(SPANISH_LM) \
		--held-out '$(SPANISH_CORPUS)#dev' \
		$(addprefix --held-out ,$(wildcard $(SPANISH_TEXT)/held-out/*.txt)) \
		--language es --digits spell --max-bytes 2600000

spanish: $(DEV_STAMP) ## train and export a Spanish bundle, from BASE, SPANISH_CORPUS and SPANISH_LM
	@echo "==> Fine-tuning $(BASE) on $(SPANISH_CORPUS); stopped runs go on where they were"
	@$(BIN)/wsm-export finetune --base $(BASE) --language es --digits spell \
		--train '$(SPANISH_CORPUS)#train' --dev '$(SPANISH_CORPUS)#dev' \
		--add 1 --replace last:1 --mixer wsm --window 8 --also-train final-norm --copies 2 \
		--cache-features runs/cache --epochs 6 --out runs/spanish-run
	@$(BIN)/wsm-export export runs/spanish-run --out runs/spanish --name spanish \
		--precision int8 --ranges '$(SPANISH_CORPUS)#dev' --weights float16 --longest-pass 28 \
		$(if $(SPANISH_LM),$(SPANISH_LM_FACTS)) $(SPANISH_DATA) \
		$(addprefix --measured ,$(wildcard runs/measured-es/*.json)) \
		--base-name openai/whisper-base --base-licence MIT --licence Apache-2.0 \
		--notes model_export/corpora/spanish_notes.md \
		--summary 'Trained on synthetic voices only.'

check: $(DEV_STAMP) ## lint, formatting, types, the layering of modules, Dockerfiles
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "==> mypy"
	@$(BIN)/mypy
	@echo "==> lint-imports"
	@$(BIN)/lint-imports
	@echo "==> hadolint"
	@$(BIN)/hadolint docker/*.Dockerfile

format: $(DEV_STAMP) ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

clean: ## remove the virtual environment, caches and build outputs
	rm -rf $(VENV) build dist *.egg-info .coverage
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find service model_export tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says that its packages were installed after pyproject.toml last changed.
$(SERVE_STAMP): pyproject.toml | $(BIN)/pip
	@echo "==> Installing the service and what it runs on (no torch) into $(VENV)"
	@$(PIP_INSTALL) --editable '.[cpu]'
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/pip
	@echo "==> Installing service, export and developers' tools into $(VENV) (torch is large)"
	@$(PIP_INSTALL) --editable '.[cpu,export,corpora,ray,tracing,paper,signing,dev]'
	@touch $@ $(SERVE_STAMP)

$(BENCH_STAMP): pyproject.toml | $(BIN)/pip
	@echo "==> Installing everything, and the servers that the benchmarks compare with, into $(VENV)"
	@$(PIP_INSTALL) --editable '.[cpu,export,corpora,ray,tracing,paper,signing,dev,bench]'
	@touch $@ $(DEV_STAMP) $(SERVE_STAMP)

# pip is the last thing `python -m venv` writes, so a half-made environment is finished here.
$(BIN)/pip:
	@python=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: no Python 3.11 or newer found ($(or $(PYTHON),python3) is" \
			"$$($(or $(PYTHON),python3) --version 2>&1 | head -n 1));" \
			"install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "==> Making a virtual environment in $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV) || { \
		echo "error: $$python cannot make virtual environments;" \
			"on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
