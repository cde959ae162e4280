# shellcheck shell=bash
# OpenSSL and llama.cpp: fetched from the first source that answers, verified, built once into
#   $TACIT_CACHE/openssl/<version>-<key>/    and    $TACIT_CACHE/llama.cpp/<version>-<key>/
# where the key is a hash of everything that changes the result. A prefix is built beside its place
# and renamed into it, so that a killed build never leaves half of one; `.complete` marks a whole one.
#
# Named instead of built: TACIT_OPENSSL_ROOT (a prefix), TACIT_LLAMA_ROOT (a prefix made by this
# script), TACIT_LLAMA_SOURCE (a checkout to build from).

readonly OPENSSL_PINNED=3.5.7
readonly OPENSSL_PINNED_SHA256=a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8
readonly OPENSSL_CRATE=300.5.4+3.5.4
readonly OPENSSL_CRATE_SHA256=a507b3792995dae9b0df8a1c1e3771e8418b7c2d9f0baeba32e6fe8b06c7cb72

readonly LLAMA_VERSION=0.5.0
readonly LLAMA_TAG=v0.5.0
# The git tree of that release: names every byte of it, whichever way it came.
readonly LLAMA_TREE=fd570ef54b10ec5fecb739e7e04c8ce44a6f415a
readonly LLAMA_NPM=node-llama-cpp-3.22.1
readonly LLAMA_NPM_SHA512=bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==
readonly LLAMA_NPM_COMMIT=de3ff815ea7d559ee917f063901b8986f038abc6

DOWNLOADS="$TACIT_CACHE/downloads"

short_hash() { sha256sum | cut -c1-12; }

compiler_id() { "$CC_PATH" --version | head -n 1; }

# --- fetching ---------------------------------------------------------------------------------

sha256_is() { [[ "$(sha256sum "$1" | cut -d' ' -f1)" == "$2" ]]; }
sha512_base64_is() { [[ "$(openssl_free_sha512_base64 "$1")" == "$2" ]]; }
openssl_free_sha512_base64() {
  python3 -c 'import base64, hashlib, sys
print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$1"
}

# fetch URL FILE CHECK EXPECTED  leaves FILE only when it passes CHECK; a stalled peer is given up.
fetch() {
  local url=$1 file=$2 check=$3 expected=$4
  [[ -f "$file" ]] && "$check" "$file" "$expected" && return
  mkdir -p "$(dirname "$file")"
  echo "fetching $url"
  curl --fail --location --silent --show-error --retry 2 --connect-timeout 15 \
    --speed-limit 1024 --speed-time 30 --output "$file.part" "$url" || {
    rm -f "$file.part"
    return 1
  }
  if ! "$check" "$file.part" "$expected"; then
    echo "$url does not match its pinned hash $expected; thrown away"
    rm -f "$file.part"
    return 1
  fi
  mv "$file.part" "$file"
}

# first_source WHAT FUNCTION...  tries each in turn; a failure is said, and is final only at the end.
first_source() {
  local what=$1 source
  shift
  for source in "$@"; do
    if [[ -n "${TACIT_SKIP_SOURCES:-}" && " $TACIT_SKIP_SOURCES " == *" ${source##*_} "* ]]; then
      continue # for testing the later ones
    fi
    if "$source"; then return 0; fi
    echo "-- ${source//_/ }: not available, trying the next source"
  done
  echo "no source of $what could be reached"
  return 1
}

# --- OpenSSL ----------------------------------------------------------------------------------

# The system's own version when it will do (>= 3.5, < 4) and its headers are or can be installed.
openssl_system_version() {
  local version
  version=$(dpkg-query -W -f '${Version}' libssl-dev 2>/dev/null)
  [[ -n "$version" ]] || version=$(apt-cache policy libssl-dev 2>/dev/null | sed -n 's/^ *Candidate: //p')
  if [[ -n "$version" ]] && openssl_version_fits "$version"; then echo "$version"; fi
}

openssl_version_fits() { dpkg --compare-versions "$1" ge 3.5 && dpkg --compare-versions "$1" lt 4~; }

openssl_flags() { # shared|no-shared
  local target=linux-x86_64
  [[ "$(uname -m)" == aarch64 ]] && target=linux-aarch64
  # nistp: P-384 several times faster; openssldir: the system's trust store stays in use.
  echo "$target $1 no-tests no-docs no-legacy enable-ec_nistp_64_gcc_128 --openssldir=/etc/ssl --libdir=lib"
}

openssl_prefix() { # VERSION LINKAGE
  local key
  key=$(printf '%s\n' "$1" "$(compiler_id)" "$(openssl_flags "$2")" | short_hash)
  echo "$TACIT_CACHE/openssl/$1-$key"
}

# The newest complete prefix in the cache that today's flags would give.
openssl_cached() {
  local folder version linkage
  for folder in $(compgen -G "$TACIT_CACHE/openssl/3.*" | sort -Vr); do
    [[ -f "$folder/.complete" ]] || continue
    version=${folder##*/}
    version=${version%-*}
    for linkage in shared no-shared; do
      if [[ "$folder" == "$(openssl_prefix "$version" "$linkage")" ]]; then
        echo "$folder"
        return
      fi
    done
  done
  return 1
}

# Each source sets OPENSSL_TREE to an unpacked tree inside OPENSSL_WORK.
OPENSSL_WORK=""
OPENSSL_TREE=""

openssl_unpack() { # TARBALL
  tar -xf "$1" -C "$OPENSSL_WORK" || return 1
  OPENSSL_TREE=$(dirname "$(find "$OPENSSL_WORK" -maxdepth 3 -name VERSION.dat -print -quit)")
  [[ -f "$OPENSSL_TREE/Configure" ]]
}

openssl_from_upstream() {
  local file="$DOWNLOADS/openssl-$OPENSSL_PINNED.tar.gz"
  fetch "https://github.com/openssl/openssl/releases/download/openssl-$OPENSSL_PINNED/openssl-$OPENSSL_PINNED.tar.gz" \
    "$file" sha256_is "$OPENSSL_PINNED_SHA256" && openssl_unpack "$file"
}

# Debian stable's source package, through an apt state of our own; the system's configuration is
# untouched. What apt fetches is authenticated by the archive's key; a suite that apt refuses (an
# expired copy, say) is left out, the other one still counts.
openssl_from_debian() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg state="$TACIT_CACHE/apt-source"
  local -a apt=(-o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)
  if [[ ! -r $keyring ]]; then
    echo "installing Debian's archive key, to authenticate its source package"
    as_root apt-get install -y --no-install-recommends debian-archive-keyring || return 1
  fi
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  local mirror
  for mirror in debian/:trixie debian-security/:trixie-security; do
    echo "deb-src [signed-by=$keyring] http://deb.debian.org/${mirror%%/*} ${mirror#*:} main"
  done >"$state/sources.list"
  echo "reading Debian's source index"
  apt-get "${apt[@]}" update || true
  local version upstream file
  for version in $(apt-cache "${apt[@]}" showsrc openssl | sed -n 's/^Version: //p' | sort -Vru); do
    upstream=${version%-*}
    openssl_version_fits "$upstream" || continue
    file="$OPENSSL_WORK/openssl_$upstream.orig.tar.gz"
    echo "fetching Debian's source package openssl $version"
    if ! (cd "$OPENSSL_WORK" && apt-get "${apt[@]}" source --download-only "openssl=$version"); then
      # The packaging may be gone while upstream's tarball came: good when it is the pinned one.
      [[ "$upstream" == "$OPENSSL_PINNED" && -f "$file" ]] || continue
    fi
    [[ -f "$file" ]] || continue
    if [[ "$upstream" == "$OPENSSL_PINNED" ]]; then
      sha256_is "$file" "$OPENSSL_PINNED_SHA256" || continue
      mkdir -p "$DOWNLOADS" && cp "$file" "$DOWNLOADS/openssl-$OPENSSL_PINNED.tar.gz"
    fi
    openssl_unpack "$file" && rm -rf "$state" && return
  done
  return 1
}

# The crate openssl-src carries the same tree, less what only shared libraries need, so that this one
# is linked statically; its static URL needs no cargo.
openssl_from_crate() {
  local file="$DOWNLOADS/openssl-src-$OPENSSL_CRATE.crate"
  fetch "https://static.crates.io/crates/openssl-src/openssl-src-$OPENSSL_CRATE.crate" \
    "$file" sha256_is "$OPENSSL_CRATE_SHA256" && openssl_unpack "$file"
}

openssl_version_of() { # TREE
  (. "$1/VERSION.dat" && echo "$MAJOR.$MINOR.$PATCH")
}

openssl_build() {
  OPENSSL_WORK=$(mktemp -d "$TACIT_CACHE/openssl/.build.XXXXXX") || return 1
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$OPENSSL_WORK'" EXIT
  first_source OpenSSL openssl_from_upstream openssl_from_debian openssl_from_crate || return 1
  local version prefix linkage=shared
  version=$(openssl_version_of "$OPENSSL_TREE") || return 1
  [[ -f "$OPENSSL_TREE/util/mkdef.pl" ]] || linkage=no-shared
  openssl_version_fits "$version" || {
    echo "got OpenSSL $version, which is not >= 3.5 and < 4"
    return 1
  }
  prefix=$(openssl_prefix "$version" "$linkage")
  [[ -f "$prefix/.complete" ]] && return
  echo "configuring OpenSSL $version"
  # shellcheck disable=SC2046 # flags are words
  (cd "$OPENSSL_TREE" && CC=$CC_PATH ./Configure $(openssl_flags "$linkage") "--prefix=$prefix") || return 1
  make -C "$OPENSSL_TREE" -j"$(job_count)" || return 1
  make -C "$OPENSSL_TREE" "DESTDIR=$OPENSSL_WORK/stage" install_sw || return 1
  touch "$OPENSSL_WORK/stage$prefix/.complete"
  rm -rf "$prefix" && mv -T "$OPENSSL_WORK/stage$prefix" "$prefix"
}

# Sets OPENSSL_ROOT; empty means the system's.
ensure_openssl() {
  OPENSSL_ROOT=${TACIT_OPENSSL_ROOT:-}
  if [[ -n "$OPENSSL_ROOT" ]]; then
    [[ -f "$OPENSSL_ROOT/include/openssl/ssl.h" ]] ||
      fail_because "TACIT_OPENSSL_ROOT=$OPENSSL_ROOT has no include/openssl/ssl.h" "name an OpenSSL prefix, or unset it"
    note "as named by TACIT_OPENSSL_ROOT: $OPENSSL_ROOT"
    return
  fi
  local version
  version=$(openssl_system_version)
  if [[ -n "$version" ]]; then
    note "the system's, $version"
    return
  fi
  mkdir -p "$TACIT_CACHE/openssl"
  if ! OPENSSL_ROOT=$(openssl_cached); then
    need_disk "$TACIT_CACHE" 4 "the dependency cache"
    note "the system's is older than 3.5; building one, about 2 minutes on 2 cores"
    run_logged "OpenSSL" openssl openssl_build ||
      fail_because "OpenSSL could not be made" \
        "check the network (HTTPS_PROXY?), or name one: TACIT_OPENSSL_ROOT=/prefix ./dev deps"
    OPENSSL_ROOT=$(openssl_cached) || fail_because "OpenSSL was built but is not in the cache" "./dev clean --all, then again"
  fi
  note "$OPENSSL_ROOT"
}

# --- llama.cpp --------------------------------------------------------------------------------

LLAMA_SOURCE=""

llama_flags() {
  echo -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DLLAMA_BUILD_IS_DEV=OFF -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
    -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_SUBPROCESS=OFF -DLLAMA_LLGUIDANCE=OFF \
    -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF "$(llama_cpu_flags)" "${TACIT_LLAMA_CMAKE_FLAGS:-}"
}

# native: the best this machine can do. portable: what every machine of the last ten years can
# (x86-64-v3), for packages.
llama_cpu_flags() {
  if [[ "${TACIT_LLAMA_CPU:-native}" == portable ]]; then
    echo -DGGML_NATIVE=OFF
  else
    echo -DGGML_NATIVE=ON
  fi
}

cpu_features() {
  if [[ "${TACIT_LLAMA_CPU:-native}" == portable ]]; then
    uname -m
  else
    grep -m1 -E '^(flags|Features)' /proc/cpuinfo
  fi
}

llama_version() {
  if [[ -n "${TACIT_LLAMA_SOURCE:-}" ]]; then
    git -C "$TACIT_LLAMA_SOURCE" rev-parse --short=12 HEAD 2>/dev/null || echo checkout
  else
    echo "$LLAMA_VERSION"
  fi
}

# The last part names the layout below; raise it when llama_install changes.
llama_prefix() {
  local key
  key=$(printf '%s\n' "$(llama_version)" "$(compiler_id)" "$(llama_flags)" "$(cpu_features)" layout-1 | short_hash)
  echo "$TACIT_CACHE/llama.cpp/$(llama_version)-$key"
}

# Takes a clone whose tree is the pinned one.
llama_accept() { # CLONE
  local tree
  tree=$(git -C "$1" rev-parse 'HEAD^{tree}') || return 1
  if [[ "$tree" != "$LLAMA_TREE" ]]; then
    echo "that is git tree $tree, not the pinned $LLAMA_TREE; thrown away"
    return 1
  fi
  rm -rf "$LLAMA_SOURCE" && mv -T "$1" "$LLAMA_SOURCE"
}

llama_from_upstream() {
  local work="$TACIT_CACHE/src/.llama.upstream" url=https://github.com/ggml-org/llama.cpp
  curl --silent --show-error --head --connect-timeout 15 --max-time 30 --output /dev/null "$url" || return 1
  rm -rf "$work"
  git -c advice.detachedHead=false -c http.lowSpeedLimit=1024 -c http.lowSpeedTime=30 \
    clone --quiet --depth 1 --branch "$LLAMA_TAG" "$url" "$work" && llama_accept "$work" && return
  rm -rf "$work"
  return 1
}

# The npm package node-llama-cpp carries upstream's source as a git bundle.
llama_from_npm() {
  local work="$TACIT_CACHE/src/.llama.npm" file="$DOWNLOADS/$LLAMA_NPM.tgz" registry
  registry=$(npm_registry)
  fetch "${registry%/}/${LLAMA_NPM%-*}/-/$LLAMA_NPM.tgz" "$file" sha512_base64_is "$LLAMA_NPM_SHA512" || return 1
  rm -rf "$work" && mkdir -p "$work" || return 1
  tar -xzf "$file" -C "$work" package/llama/gitRelease.bundle || return 1
  git -c advice.detachedHead=false clone --quiet "$work/package/llama/gitRelease.bundle" "$work/llama.cpp" || return 1
  if [[ "$(git -C "$work/llama.cpp" rev-parse HEAD)" != "$LLAMA_NPM_COMMIT" ]]; then
    echo "the bundle's HEAD is not the pinned commit $LLAMA_NPM_COMMIT"
    return 1
  fi
  llama_accept "$work/llama.cpp" && rm -rf "$work"
}

# Where npm itself would look: its environment variable, the user's .npmrc, the public registry.
npm_registry() {
  local from_file=""
  [[ -r "$HOME/.npmrc" ]] && from_file=$(sed -n 's/^ *registry *= *//p' "$HOME/.npmrc" | tail -n 1)
  echo "${npm_config_registry:-${NPM_CONFIG_REGISTRY:-${from_file:-https://registry.npmjs.org/}}}"
}

llama_fetch() {
  mkdir -p "$TACIT_CACHE/src"
  first_source llama.cpp llama_from_upstream llama_from_npm
}

# Headers and static libraries under one prefix. `common` has no install rules upstream, so its
# headers are copied beside llama's, and tacit-llama.cmake says how to link it all.
llama_install() { # SOURCE BUILD STAGE
  local source=$1 build=$2 stage=$3 include="$3/include/llama.cpp"
  mkdir -p "$stage/lib" "$include/common" "$include/vendor/nlohmann" "$include/vendor/sheredom" || return 1
  cp "$source"/include/*.h "$source"/ggml/include/*.h "$include/" || return 1
  (cd "$source/common" && find . \( -name '*.h' -o -name '*.hpp' \) -exec cp --parents {} "$include/common/" \;) || return 1
  cp "$source"/vendor/nlohmann/*.hpp "$include/vendor/nlohmann/" || return 1
  cp "$source"/vendor/sheredom/*.h "$include/vendor/sheredom/" || return 1
  find "$build" -name '*.a' -exec cp {} "$stage/lib/" \; || return 1
  cp "$source/LICENSE" "$stage/" || return 1
  cat >"$stage/tacit-llama.cmake" <<CMAKE
# Written by ./dev deps: how to use this copy of llama.cpp and its common library.
set(TACIT_LLAMA_VERSION "$(llama_version)")
set(TACIT_LLAMA_INCLUDE_DIRS
  "\${CMAKE_CURRENT_LIST_DIR}/include/llama.cpp"
  "\${CMAKE_CURRENT_LIST_DIR}/include/llama.cpp/common"
  "\${CMAKE_CURRENT_LIST_DIR}/include/llama.cpp/vendor")
# Static, in link order: each needs those after it.
set(TACIT_LLAMA_LIBRARIES "")
foreach(name llama-common llama-common-base cpp-httplib llama ggml ggml-cpu ggml-base vendor-hash)
  if(EXISTS "\${CMAKE_CURRENT_LIST_DIR}/lib/lib\${name}.a")
    list(APPEND TACIT_LLAMA_LIBRARIES "\${CMAKE_CURRENT_LIST_DIR}/lib/lib\${name}.a")
  endif()
endforeach()
CMAKE
}

llama_build() {
  local prefix work
  prefix=$(llama_prefix)
  if [[ ! -f "$LLAMA_SOURCE/CMakeLists.txt" ]]; then
    llama_fetch || return 1
  fi
  work=$(mktemp -d "$TACIT_CACHE/llama.cpp/.build.XXXXXX") || return 1
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  # shellcheck disable=SC2046 # flags are words
  cmake -S "$LLAMA_SOURCE" -B "$work/build" -G Ninja \
    "-DCMAKE_C_COMPILER=$CC_PATH" "-DCMAKE_CXX_COMPILER=$CXX_PATH" $(llama_flags) || return 1
  cmake --build "$work/build" --parallel "$(job_count)" || return 1
  llama_install "$LLAMA_SOURCE" "$work/build" "$work/stage" || return 1
  ln -s "$LLAMA_SOURCE" "$work/stage/src"
  touch "$work/stage/.complete"
  rm -rf "$prefix" && mv -T "$work/stage" "$prefix"
}

# Sets LLAMA_ROOT.
ensure_llama() {
  LLAMA_ROOT=${TACIT_LLAMA_ROOT:-}
  if [[ -n "$LLAMA_ROOT" ]]; then
    [[ -f "$LLAMA_ROOT/tacit-llama.cmake" ]] ||
      fail_because "TACIT_LLAMA_ROOT=$LLAMA_ROOT has no tacit-llama.cmake" \
        "to build from a checkout, set TACIT_LLAMA_SOURCE to it instead"
    note "as named by TACIT_LLAMA_ROOT: $LLAMA_ROOT"
    return
  fi
  LLAMA_SOURCE=${TACIT_LLAMA_SOURCE:-$TACIT_CACHE/src/llama.cpp-$LLAMA_VERSION}
  mkdir -p "$TACIT_CACHE/llama.cpp"
  LLAMA_ROOT=$(llama_prefix)
  if [[ ! -f "$LLAMA_ROOT/.complete" ]]; then
    need_disk "$TACIT_CACHE" 4 "the dependency cache"
    note "building version $(llama_version) for this machine's CPU, about 4 minutes on 2 cores"
    run_logged "llama.cpp" llama llama_build ||
      fail_because "llama.cpp could not be made" \
        "check the network (HTTPS_PROXY?), or name a checkout: TACIT_LLAMA_SOURCE=/path ./dev deps"
  fi
  note "$LLAMA_ROOT"
}
