# shellcheck shell=bash
# Configure, build, run, package, clean.

readonly PRESETS="dev asan tsan fuzz release"
readonly STARTER_MODEL=smollm2:135m

# Two checkouts share the cache, but neither locks nor logs of what they build.
CHECKOUT="$(basename "$TACIT_ROOT")-$(printf '%s' "$TACIT_ROOT" | short_hash)"

check_preset() {
  [[ " $PRESETS " == *" $1 "* ]] || fail_because "there is no preset '$1'" "use one of: $PRESETS"
}

# What cmake was last told, so that it is only told again when that changes.
configure_key() {
  { echo "$OPENSSL_ROOT|$LLAMA_ROOT|$*" && cat "$TACIT_ROOT/CMakePresets.json"; } | short_hash
}

configure_work() { # FOLDER PRESET [ARGUMENT...]
  local folder=$1 preset=$2
  shift 2
  cmake --preset "$preset" -B "$folder" "-DTACIT_OPENSSL_ROOT=$OPENSSL_ROOT" "-DTACIT_LLAMA_ROOT=$LLAMA_ROOT" "$@"
}

ensure_configured() { # FOLDER PRESET [ARGUMENT...]
  local folder=$1 stamp="$1/.dev-configured" key
  key=$(configure_key "$@")
  [[ -f "$folder/build.ninja" && "$(cat "$stamp" 2>/dev/null)" == "$key" ]] && return
  mkdir -p "$folder"
  need_disk "$folder" 2 "a build"
  run_logged "configure $2" "$CHECKOUT/configure-$2" configure_work "$@" ||
    fail_because "cmake could not configure preset $2" "read the log named above"
  echo "$key" >"$stamp"
}

has_target() { ninja -C "$1" -t query "$2" >/dev/null 2>&1; } # FOLDER TARGET

# The targets of a build folder whose names match a pattern, one a line.
targets_like() { # FOLDER PATTERN
  local target rest
  ninja -C "$1" -t targets all | while IFS=: read -r target rest; do
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ "$target" == $2 && "$rest" == " phony" ]]; then echo "$target"; fi
  done
}

# TARGETS: names with commas between; a name may be a pattern, such as fuzz_*.
build_work() { # FOLDER PRESET TARGETS [CMAKE ARGUMENT...]
  local folder=$1 preset=$2 name
  local -a names targets=()
  IFS=, read -ra names <<<"$3"
  shift 3
  ensure_configured "$folder" "$preset" "$@"
  for name in "${names[@]}"; do
    if [[ "$name" == *"*"* ]]; then
      mapfile -t -O "${#targets[@]}" targets < <(targets_like "$folder" "$name")
    else
      targets+=("$name")
    fi
  done
  ((${#targets[@]} > 0)) || return 0
  LOG_TAIL=60 RUN_SILENT_IF="^ninja: no work to do" run_logged "build $preset (${targets[*]})" "$CHECKOUT/build-$preset" \
    ninja -C "$folder" -j"$(job_count)" "${targets[@]}" ||
    fail_because "the build of preset $preset failed" "the messages above name the file and line"
}

# build_preset PRESET TARGETS  with the set-up done before.
build_preset() {
  check_preset "$1"
  ensure_setup
  with_lock "build-$CHECKOUT-$1" build_work "build/$1" "$@"
}

verb_configure() {
  local preset=${1:-dev}
  check_preset "$preset"
  shift || true
  ensure_setup
  rm -f "build/$preset/.dev-configured"
  with_lock "build-$CHECKOUT-$preset" ensure_configured "build/$preset" "$preset" "$@"
}

verb_build() {
  local preset=dev wanted=all
  while (($#)); do
    case "$1" in
      --target)
        [[ $# -ge 2 ]] || fail_because "--target needs a name" "./dev build --target tacit"
        wanted=$2
        shift
        ;;
      -*) fail_because "./dev build does not know '$1'" "./dev build --help" ;;
      *) preset=$1 ;;
    esac
    shift
  done
  build_preset "$preset" "$wanted"
  say "built: build/$preset"
}

# The starter model is small enough to ramble: its answers are bounded unless the caller says how.
# A server on loopback that answers sealed requests only, for as long as this script runs. Sets
# SEALED_URL and SEALED_FINGERPRINT.
start_sealed_server() {
  local log said
  log=$(mktemp)
  # A session of its own, so that Ctrl-C is the chat's; and it ends when we do, however we do.
  setsid setpriv --pdeathsig TERM build/dev/bin/tacit serve --port 0 --no-auth --sealed-only --model "$STARTER_MODEL" \
    --log-format json </dev/null >"$log" 2>&1 &
  SEALED_SERVER=$!
  trap 'kill "$SEALED_SERVER" 2>/dev/null || true; rm -f "'"$log"'"' EXIT
  for ((i = 0; i < 1200; i++)); do
    said=$(<"$log")
    SEALED_URL=$(sed -n 's/.*"server.listening".*"url":"\(http:[^"]*\)".*/\1/p' <<<"$said" | head -n 1)
    SEALED_FINGERPRINT=$(sed -n 's/.*"fingerprint":"\(tacit1:[0-9a-f]*\)".*/\1/p' <<<"$said" | head -n 1)
    [[ -n "$SEALED_URL" && -n "$SEALED_FINGERPRINT" ]] && return
    kill -0 "$SEALED_SERVER" 2>/dev/null || break
    sleep 0.05
  done
  cat "$log" >&2
  fail_because "the server did not start" "its words are above; build/dev/bin/tacit doctor"
}

verb_run() {
  build_preset dev tacit
  local bound=(--max-tokens 256) argument here=""
  for argument in "$@"; do
    [[ $argument == --max-tokens* ]] && bound=()
    # What a server decides is asked of the engine itself.
    [[ $argument =~ ^--(context|threads|via|help) ]] && here=yes
  done
  if [[ -n "$here" ]] || ! command -v setpriv >/dev/null; then
    exec build/dev/bin/tacit run "$STARTER_MODEL" "${bound[@]}" "$@"
  fi
  build/dev/bin/tacit pull "$STARTER_MODEL" >/dev/null || return 1
  start_sealed_server
  build/dev/bin/tacit run "$STARTER_MODEL" --via "$SEALED_URL" --trust "$SEALED_FINGERPRINT" "${bound[@]}" "$@"
}

# A folder that runs elsewhere: the program, every library it needs but the C library's own, the
# licences.
package_stage() { # BUILD STAGE
  mkdir -p "$2/bin" "$2/lib" || return 1
  cp "$1/bin/tacit" "$2/bin/" && cp LICENSE README.md "$2/" || return 1
  cp "$LLAMA_ROOT/LICENSE" "$2/LICENSE.llama.cpp" || return 1
  local library
  LD_LIBRARY_PATH="${OPENSSL_ROOT:+$OPENSSL_ROOT/lib}" ldd "$2/bin/tacit" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' |
    grep -Ev '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*)\.so' |
    while read -r library; do cp -L "$library" "$2/lib/" || return 1; done
}

verb_package() {
  # Not the machine's own CPU but one that every machine of the last ten years has.
  export TACIT_LLAMA_CPU=portable
  ensure_setup
  local folder=build/package
  # Its libraries lie beside it, also for each other (hence the old tag), and no path of this machine
  # is left in it.
  with_lock "build-$CHECKOUT-package" build_work "$folder" release tacit \
    -DCMAKE_SKIP_RPATH=ON "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags,-rpath,'\$ORIGIN/../lib'"
  if [[ -x packaging/package ]]; then
    exec packaging/package "$folder"
  fi
  local version name
  version=$(sed -n 's/^project(tacit VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
  name="tacit-$version-linux-$(uname -m)"
  rm -rf "${folder:?}/$name"
  package_stage "$folder" "$folder/$name" || fail_because "the package could not be put together" "see above"
  tar -C "$folder" --owner=0 --group=0 -czf "$folder/$name.tar.gz" "$name"
  say "packaged: $folder/$name.tar.gz ($(du -h "$folder/$name.tar.gz" | cut -f1))"
}

verb_clean() {
  rm -rf build
  say "removed build/"
  case "${1:-}" in
    "") ;;
    --all)
      rm -rf "$TACIT_CACHE"
      say "removed $TACIT_CACHE (OpenSSL, llama.cpp, downloads, logs)"
      ;;
    *) fail_because "./dev clean does not know '$1'" "./dev clean --all removes the caches, too" ;;
  esac
}
