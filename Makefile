# One word per task; Meson and Ninja do the work. See CONTRIBUTING.md.
BUILD ?= build
ASAN_ENV = ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

.PHONY: all test asan tsan fuzz-smoke bench bench-store soak format tidy check clean golden-update deb
all: $(BUILD)/build.ninja
	@ninja --quiet -C $(BUILD) market-data

$(BUILD)/build.ninja:
	@meson setup $(BUILD) >/dev/null

test: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@meson test -C $(BUILD) --print-errorlogs

asan:
	@test -f build-asan/build.ninja || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C build-asan
	@$(ASAN_ENV) meson test -C build-asan --print-errorlogs --timeout-multiplier 4

tsan:
	@test -f build-tsan/build.ninja || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false >/dev/null
	@ninja -C build-tsan
	@TSAN_OPTIONS=halt_on_error=1 meson test -C build-tsan --print-errorlogs --timeout-multiplier 4

# The whole recorder on virtual time: make sim SEED=n runs one seed and says what it did,
# make sim the seeds from FROM on.
FROM ?= 1
COUNT ?= 200
.PHONY: sim
sim: $(BUILD)/build.ninja
	@ninja --quiet -C $(BUILD) test/sim/sim_seeds
	@$(BUILD)/test/sim/sim_seeds $(if $(SEED),$(SEED) 1,$(FROM) $(COUNT))

FUZZ_SECONDS ?= 10
fuzz-smoke:
	@test -f build-fuzz/build.ninja || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C build-fuzz
	@scripts/fuzz build-fuzz $(FUZZ_SECONDS)

bench: all
	@ninja -C $(BUILD)
	@scripts/bench $(BUILD)

# The store beside DuckDB and Polars: long. ROWS=1000000 RUNS=1 for a quick look.
ROWS ?= 10000000
RUNS ?= 3
bench-store: all
	@ninja -C $(BUILD) bench/bench_store
	@mkdir -p $(BUILD)/bench
	@scripts/setup test
	@$(BUILD)/bench/bench_store $(BUILD)/bench --rows $(ROWS) --runs $(RUNS)

# 1,000 symbols, 10 minutes, twice (the second time in a control group of 256 MiB).
soak: all
	@ninja -C $(BUILD)
	@scripts/setup test
	@MD_LONG=1 MD_BUILD=$(BUILD) MD_PROGRAM=$(BUILD)/market-data node --test test/e2e/soak.test.mjs

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

tidy:
	@scripts/tidy

check: format tidy test asan fuzz-smoke

golden-update: all
	@scripts/setup test
	@MD_GOLDEN_UPDATE=1 MD_BUILD=$(BUILD) MD_PROGRAM=$(BUILD)/market-data node --test test/e2e/golden*.test.mjs
	@git diff --stat test/golden

deb:
	@scripts/deb

clean:
	@rm -rf build build-asan build-tsan build-fuzz
