# shellcheck shell=bash
# The machine: which system it is, what it lacks, and how to get it.

CLANG_VERSION=19
CC_PATH="/usr/bin/clang-$CLANG_VERSION"
CXX_PATH="/usr/bin/clang++-$CLANG_VERSION"

SYSTEM_ID=""      # debian | ubuntu
SYSTEM_VERSION="" # 12 | 13 | 24.04
SYSTEM_NAME=""

readonly SUPPORTED="Debian 12, Debian 13 or Ubuntu 24.04 on x86-64 or arm64"

detect_system() {
  [[ -r /etc/os-release ]] || fail_because "this system has no /etc/os-release" "use $SUPPORTED"
  SYSTEM_ID=$(. /etc/os-release && echo "${ID:-unknown}")
  SYSTEM_VERSION=$(. /etc/os-release && echo "${VERSION_ID:-0}")
  SYSTEM_NAME=$(. /etc/os-release && echo "${PRETTY_NAME:-unknown}")
  if [[ "$(uname -s)" != Linux ]] || [[ ! "$(uname -m)" =~ ^(x86_64|aarch64)$ ]]; then
    fail_because "unsupported machine: $(uname -s) on $(uname -m)" "use $SUPPORTED"
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail_because "unsupported system: $SYSTEM_NAME has no apt-get" \
      "use $SUPPORTED (a container of one of them is enough)"
  fi
  case "$SYSTEM_ID-$SYSTEM_VERSION" in
    debian-12 | debian-13 | ubuntu-24.04) ;;
    *) note "$SYSTEM_NAME is not one of the systems this is checked on ($SUPPORTED); trying anyway" ;;
  esac
}

# need_disk FOLDER GIB WHAT
need_disk() {
  mkdir -p "$1" 2>/dev/null ||
    fail_because "cannot create $1" "make it writable, or set XDG_CACHE_HOME to a folder that is"
  local free_kib
  free_kib=$(df -Pk "$1" | awk 'NR == 2 {print $4}')
  if ((free_kib < $2 * 1024 * 1024)); then
    fail_because "too little disk: $1 has $((free_kib / 1024)) MiB free, $3 needs $2 GiB" \
      "free some space, or set XDG_CACHE_HOME to a folder on a larger disk"
  fi
}

is_root() { [[ "$(id -u)" == 0 ]]; }

# as_root COMMAND...  directly, or through sudo with the proxy settings kept.
as_root() {
  if is_root; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo --preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY \
      env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# Asks for the password now, in the foreground, while a reader is there to give it.
require_root_for() {
  is_root && return
  command -v sudo >/dev/null ||
    fail_because "these packages are missing and installing them needs root: $*" \
      "as root run: apt-get install -y $*    (or install sudo), then run this again"
  sudo -n true 2>/dev/null && return
  [[ -t 0 ]] || fail_because "these packages are missing and sudo wants a password: $*" \
    "run: sudo apt-get install -y $*    then run this again"
  sudo -v || fail_because "sudo refused" "as root run: apt-get install -y $*"
}

# --- packages ---------------------------------------------------------------------------------

installed() {
  local status
  status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) && [[ "$status" == installed ]]
}

installable() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# The packages of every system but Boost, whose names carry a version, and OpenSSL (deps.sh).
base_packages() {
  echo ca-certificates curl git make perl xz-utils cmake ninja-build ccache pkg-config \
    clang-$CLANG_VERSION lld-$CLANG_VERSION llvm-$CLANG_VERSION libclang-rt-$CLANG_VERSION-dev \
    clang-tidy-$CLANG_VERSION clang-format-$CLANG_VERSION g++ shellcheck \
    libfmt-dev libcli11-dev libtomlplusplus-dev libgtest-dev libgmock-dev libbenchmark-dev \
    libsqlite3-dev libzstd-dev zlib1g-dev libseccomp-dev libtss2-dev \
    python3 python3-venv
}

# The Boost to use: one already there, else the system's default, else the newest; 1.81 at least.
boost_version() {
  local version default
  for version in $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libboost1.*-dev' 2>/dev/null |
    sed -n 's/^installed libboost\(1\.[0-9]*\)-dev$/\1/p' | sort -Vr); do
    boost_new_enough "$version" && echo "$version" && return
  done
  default=$(apt-cache depends libboost-dev 2>/dev/null | sed -n 's/.*Depends: libboost\(1\.[0-9]*\)-dev$/\1/p')
  for version in $default $(apt-cache pkgnames libboost-url1. 2>/dev/null |
    sed -n 's/^libboost-url\(1\.[0-9]*\)-dev$/\1/p' | sort -Vr); do
    boost_new_enough "$version" && installable "libboost-json$version-dev" && echo "$version" && return
  done
  return 1
}

boost_new_enough() { printf '1.81\n%s\n' "$1" | sort -VC; }

# Prints the packages that are not there yet. Before the first `apt-get update` of a bare image even
# the names are unknown; then Boost's come in a second round.
missing_packages() {
  local package boost
  # shellcheck disable=SC2046 # one word per package is the point
  set -- $(base_packages)
  if boost=$(boost_version); then
    set -- "$@" "libboost$boost-dev" "libboost-json$boost-dev" "libboost-url$boost-dev"
  fi
  if [[ -n "$(openssl_system_version)" ]]; then
    set -- "$@" libssl-dev
  else
    set -- "$@" debian-archive-keyring # authenticates Debian's source package, see deps.sh
  fi
  for package in swtpm swtpm-tools; do # a TPM in software, for tests, which say so where it is missing
    installable "$package" && set -- "$@" "$package"
  done
  for package in "$@"; do
    installed "$package" || echo "$package"
  done
}

# A mirror's index can run ahead of its pool: apt then wants a version that answers 404. Each such
# version is barred in a preferences file of our own and the solver asked again, so that it settles
# on the newest set of versions that can be had.
readonly APT_ROUNDS=12

apt_failed_urls() { sed -n 's/^E: Failed to fetch \(\S*\) .*/\1/p; s/^Err:[0-9]* \(\S*\) .*/\1/p' "$1" | grep '\.deb$' | sort -u; }

# bar_version PREFERENCES URL  forbids, for its whole source package, the version that URL carries.
bar_version() {
  local file=${2##*/} package version source
  package=${file%%_*}
  version=${file#*_}
  version=${version%_*}
  version=$(printf '%b' "${version//%/\\x}")
  # the file's name lacks the epoch; the index has the whole version
  version=$(apt-cache madison "$package" | awk -F' *[|] *' -v want="$version" \
    '{v = $2; short = v; sub(/^[0-9]+:/, "", short); if (short == want) {print v; exit}}')
  [[ -n "$version" ]] || return 1
  source=$(apt-cache show "$package=$version" | sed -n 's/^Source: \([^ ]*\).*/\1/p' | head -n 1)
  printf 'Package: %s\nPin: version %s\nPin-Priority: -1\n\n' "src:${source:-$package}" "$version" >>"$1"
  echo "version $version of ${source:-$package} cannot be had from this mirror; asking for an older one"
}

# apt_install PACKAGE...  (inside run_logged)
apt_install() {
  local preferences round url barred log
  preferences=$(mktemp) && log=$(mktemp) || return 1
  cat /etc/apt/preferences >"$preferences" 2>/dev/null || true
  printf '\n' >>"$preferences"
  chmod a+r "$preferences"
  for ((round = 1; round <= APT_ROUNDS; round++)); do
    if as_root apt-get -o "Dir::Etc::Preferences=$preferences" -o APT::Acquire::Retries=2 \
      -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
      install -y --no-install-recommends "$@" 2>&1 | tee "$log"; then
      rm -f "$preferences" "$log"
      return 0
    fi
    if ((round == 1)); then # perhaps only the lists are old
      as_root apt-get -o DPkg::Lock::Timeout=600 update
      continue
    fi
    barred=""
    for url in $(apt_failed_urls "$log"); do
      bar_version "$preferences" "$url" && barred=1
    done
    [[ -n "$barred" ]] || break
  done
  rm -f "$preferences" "$log"
  return 1
}

apt_update() { as_root apt-get -o DPkg::Lock::Timeout=600 -o APT::Update::Error-Mode=any update; }

# A bare image ships without package lists. Their age says nothing (it is the archive's): old ones
# show as a 404, and apt_install updates them then.
apt_lists_there() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

ensure_packages() {
  local -a missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)) && boost_version >/dev/null; then
    note "all there"
    return
  fi
  require_root_for "${missing[@]}"
  if ! apt_lists_there || ! apt_knows "${missing[@]}"; then
    run_logged "package lists (apt-get update)" apt-update apt_update ||
      note "going on with the lists that are there"
    apt_lists_there || fail_because "apt-get update failed, so nothing can be installed" \
      "check the network (proxies: http_proxy, https_proxy) and /etc/apt/sources.list"
  fi
  mapfile -t missing < <(missing_packages)
  boost_version >/dev/null || fail_because "$SYSTEM_NAME offers no Boost 1.81 or newer" "use $SUPPORTED"
  apt_knows "${missing[@]}" || fail_because "$SYSTEM_NAME does not offer: $(apt_unknown "${missing[@]}")" \
    "use $SUPPORTED; on Ubuntu enable 'universe' (add-apt-repository universe)"
  note "installing: ${missing[*]}"
  run_logged "${#missing[@]} packages (apt-get install)" apt-install apt_install "${missing[@]}" ||
    fail_because "apt-get could not install: ${missing[*]}" \
      "read the log named above; a network or mirror fault is the usual cause, then run this again"
  [[ -x "$CXX_PATH" ]] || fail_because "clang-$CLANG_VERSION is still missing after the installation" \
    "run: apt-get install clang-$CLANG_VERSION"
}

apt_unknown() {
  local package
  for package in "$@"; do installable "$package" || printf '%s ' "$package"; done
}
apt_knows() { [[ -z "$(apt_unknown "$@")" ]]; }

# --- sizes ------------------------------------------------------------------------------------

# Parallel compilations: one per core, but no more than memory carries (a heavy one takes 1.2 GB).
job_count() {
  local cores memory_jobs
  cores=$(nproc)
  memory_jobs=$(awk '/^MemAvailable:/ {print int($2 / 1200000)}' /proc/meminfo)
  ((memory_jobs < 1)) && memory_jobs=1
  echo $((cores < memory_jobs ? cores : memory_jobs))
}
