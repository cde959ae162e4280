# shellcheck shell=bash
# The whole set-up behind one stamp: what a second run costs is reading that file.

OPENSSL_ROOT=""
LLAMA_ROOT=""

# Everything that, when it changes, makes the set-up look again.
setup_key() {
  {
    cat "$TACIT_ROOT"/tools/dev/{system,deps,setup}.sh /etc/os-release
    stat -Lc '%n %s %Y' "$CXX_PATH" 2>/dev/null || true
    cpu_features
    uname -m
    echo "${TACIT_OPENSSL_ROOT:-}|${TACIT_LLAMA_ROOT:-}|${TACIT_LLAMA_SOURCE:-}|${TACIT_LLAMA_CPU:-}|${TACIT_LLAMA_CMAKE_FLAGS:-}"
  } 2>/dev/null | short_hash
}

# True when the stamp of this key names prefixes that still exist. Sets both roots.
setup_is_done() {
  local stamp=$1 name value
  [[ -f "$stamp" ]] || return 1
  while IFS='=' read -r name value; do
    case "$name" in
      TACIT_OPENSSL_ROOT) OPENSSL_ROOT=$value ;;
      TACIT_LLAMA_ROOT) LLAMA_ROOT=$value ;;
    esac
  done <"$stamp"
  [[ -z "$OPENSSL_ROOT" || -f "$OPENSSL_ROOT/include/openssl/ssl.h" ]] && [[ -f "$LLAMA_ROOT/tacit-llama.cmake" ]]
}

setup_work() {
  local stamp=$1
  setup_is_done "$stamp" && [[ -z "${2:-}" ]] && return # another ./dev did it while this one waited
  steps 4
  step "system"
  detect_system
  note "$SYSTEM_NAME, $(uname -m), $(nproc) cores, cache in $TACIT_CACHE"
  step "packages"
  ensure_packages
  step "OpenSSL 3.5"
  ensure_openssl
  step "llama.cpp"
  ensure_llama
  printf 'TACIT_OPENSSL_ROOT=%s\nTACIT_LLAMA_ROOT=%s\n' "$OPENSSL_ROOT" "$LLAMA_ROOT" >"$stamp.$$"
  mv "$stamp.$$" "$stamp"
}

ensure_setup() { # [again]
  local stamp
  stamp="$TACIT_CACHE/setup-$(setup_key)"
  if [[ -z "${1:-}" ]] && setup_is_done "$stamp"; then return; fi
  if ! mkdir -p "$TACIT_CACHE/lock" 2>/dev/null || [[ ! -w "$TACIT_CACHE/lock" ]]; then
    fail_because "cannot write to $TACIT_CACHE" "make it writable, or set XDG_CACHE_HOME to a folder that is"
  fi
  command -v flock >/dev/null || fail_because "flock is missing" "apt-get install util-linux"
  with_lock setup setup_work "$stamp" "${1:-}"
  # The packages changed what the key sees (the compiler arrived): let the next run find the stamp.
  cp "$stamp" "$TACIT_CACHE/setup-$(setup_key).$$" && mv "$TACIT_CACHE/setup-$(setup_key).$$" "$TACIT_CACHE/setup-$(setup_key)"
}

verb_deps() {
  ensure_setup again
  say "set-up is complete"
}

verb_paths() {
  ensure_setup
  echo "TACIT_OPENSSL_ROOT=$OPENSSL_ROOT"
  echo "TACIT_LLAMA_ROOT=$LLAMA_ROOT"
}
