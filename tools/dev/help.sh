# shellcheck shell=bash
# The manual.

help_for() {
  case "${1:-}" in
    "" | help | --help | -h) help_all ;;
    run) cat <<'TEXT' ;;
./dev run ["prompt"] [OPTION...]   a private answer, from whatever state the machine is in

Sets the machine up, builds the program `tacit`, fetches and verifies the starter model, starts
`tacit serve` on loopback and asks it through the sealed channel: `tacit run smollm2:135m --via URL
"prompt"`, which says what was proved. Without a prompt, on a terminal, it stays in chat. Further options
are tacit's: see `build/dev/bin/tacit run --help`; with --threads or --context there is no server.

  ./dev run "Name three colours."
  ./dev run
TEXT
    test) cat <<'TEXT' ;;
./dev test [--preset dev|asan|tsan] [CTEST OPTION...]   build everything, run every test

Ends with ctest's own summary. The clients the end-to-end tests use are installed into the cache.

  ./dev test                    everything
  ./dev test -R http            tests whose name matches
  ./dev test -L unit            unit tests only
  ./dev test --preset asan      under AddressSanitizer and UndefinedBehaviorSanitizer
TEXT
    e2e) cat <<'TEXT' ;;
./dev e2e [--preset P] [CTEST OPTION...]   the end-to-end tests only: real clients, real server
TEXT
    build) cat <<'TEXT' ;;
./dev build [PRESET] [--target NAME[,NAME...]]   build a preset (dev asan tsan fuzz release)

  ./dev build                   everything of preset dev, into build/dev
  ./dev build release --target tacit
TEXT
    configure) cat <<'TEXT' ;;
./dev configure [PRESET] [-DNAME=VALUE...]   run cmake for a preset, with the cached dependencies
TEXT
    bench) cat <<'TEXT' ;;
./dev bench [NAME] [OPTION...]   build the release preset and run its benchmarks

Programs named bench_* and the scripts bench/*.sh, bench/*.py. Options go to the benchmark.
TEXT
    fuzz) cat <<'TEXT' ;;
./dev fuzz [NAME...] [--seconds N]   run the fuzzers, 60 s each unless told otherwise

Starts from fuzz/corpus/NAME; inputs found go to the cache (fuzz/NAME/corpus), crashes beside them
(fuzz/NAME/artifacts). Ends with a table; fails when one crashed.

  ./dev fuzz gguf --seconds 300
TEXT
    lint) cat <<'TEXT' ;;
./dev lint [PART...]   everything a reviewer should not have to say

  scripts     shellcheck, Python syntax         own_tests   the lint's own tests
  format      clang-format                      patterns    tools/lint/patterns.py says which, and why
  layers      includes against declared edges   headers     every header compiles alone
  tidy        a short list of clang-tidy checks, results cached by content
TEXT
    format) cat <<'TEXT' ;;
./dev format   clang-format over every C++ file
TEXT
    vectors) cat <<'TEXT' ;;
./dev vectors [FOLDER]   check the test vectors in FOLDER (default tests/vectors/data)
TEXT
    adversary) cat <<'TEXT' ;;
./dev adversary [--count N] [--seed S]   an adversary between the ends of the sealed channel

N (100000) random schedules of both ends, simulated; N mutations of recorded messages; and whether the
time of a refusal tells its reason. A schedule that breaks a property is printed with the command that
repeats it. The first two fail when something is accepted; the last only prints.
TEXT
    package) cat <<'TEXT' ;;
./dev package   a release build for any machine of this architecture, as build/package/*.tar.gz
TEXT
    clean) cat <<'TEXT' ;;
./dev clean [--all]   remove build/; with --all the caches, too (OpenSSL, llama.cpp, downloads)
TEXT
    deps) cat <<'TEXT' ;;
./dev deps   install and build what is missing, and nothing else

Packages come with apt-get; OpenSSL >= 3.5 and llama.cpp are fetched, verified and built once into
${XDG_CACHE_HOME:-~/.cache}/tacit. To name your own instead:
  TACIT_OPENSSL_ROOT   an OpenSSL prefix        TACIT_LLAMA_SOURCE   a llama.cpp checkout
  TACIT_LLAMA_ROOT     a prefix made by ./dev   TACIT_LLAMA_CMAKE_FLAGS  further options for it
TEXT
    paths) cat <<'TEXT' ;;
./dev paths   print where the dependencies are, as NAME=VALUE lines
TEXT
    *) fail_because "there is no verb '$1'" "./dev help lists them all" ;;
  esac
}

help_all() {
  cat <<'TEXT'
Tacit, for contributors. Each verb sets the machine up first, if it has to.

  ./dev run ["prompt"]    a private answer, from an empty machine
  ./dev test              build everything, run every test

  build [PRESET]    dev asan tsan fuzz release      configure [PRESET]  cmake with the cached dependencies
  e2e               real clients, real server       vectors [FOLDER]    official test vectors
  bench [NAME]      measure the release build       fuzz [NAME]         60 s each, or --seconds N
  lint [PART]       what CI checks                  format              clang-format
  adversary         the sealed channel, attacked    clean [--all]       build/, and the caches
  package           a tar.gz that runs elsewhere
  deps              only the set-up                 paths               where the dependencies are
  help [VERB]       more about one, with examples

Caches: ${XDG_CACHE_HOME:-~/.cache}/tacit, logs in its log/.
TEXT
}
