# shellcheck shell=bash
# What the reader sees: numbered steps, a live line while something long runs, errors with a fix.
# Everything here writes to stderr, so that a verb's stdout stays its own.

LOG_DIR="$TACIT_CACHE/log"
STEP_NOW=0
STEP_COUNT=0
JOB_PID=""

if [[ -t 2 && "${TERM:-dumb}" != dumb ]]; then
  UI_LIVE=1
  UI_BOLD=$'\e[1m' UI_DIM=$'\e[2m' UI_RED=$'\e[31m' UI_GREEN=$'\e[32m' UI_OFF=$'\e[0m'
else
  UI_LIVE=""
  UI_BOLD="" UI_DIM="" UI_RED="" UI_GREEN="" UI_OFF=""
fi

say() { printf '%s\n' "$*" >&2; }

# steps COUNT  begins a numbered sequence.
steps() {
  STEP_NOW=0
  STEP_COUNT=$1
}

# step TITLE  announces the next of them.
step() {
  STEP_NOW=$((STEP_NOW + 1))
  say "${UI_BOLD}[$STEP_NOW/$STEP_COUNT] $*${UI_OFF}"
}

# note TEXT  one line under the current step.
note() { say "      $*"; }

# fail_because WHAT FIX  ends the script. Every error names what the reader can do.
fail_because() {
  say "${UI_RED}error:${UI_OFF} $1"
  [[ -n "${2:-}" ]] && say "  fix: $2"
  exit 1
}

elapsed_text() {
  local seconds=$1
  if ((seconds < 60)); then printf '%d s' "$seconds"; else printf '%d min %02d s' $((seconds / 60)) $((seconds % 60)); fi
}

# The last line a reader would understand: no control characters, cut to the terminal.
last_line() {
  local width
  width=$(($(tput cols 2>/dev/null || echo 80) - 24))
  tail -c 4000 "$1" 2>/dev/null | tr '\r' '\n' | tr -cd '[:print:]\n' | grep -v '^ *$' | tail -n 1 | cut -c "1-$((width > 20 ? width : 20))"
}

stop_job() {
  [[ -n "$JOB_PID" ]] && kill -TERM -- "-$JOB_PID" 2>/dev/null
  JOB_PID=""
}

interrupted() {
  stop_job
  [[ -n "$UI_LIVE" ]] && printf '\r\e[K' >&2
  say "stopped; what is finished stays in the cache, run the same command to go on"
  exit 130
}

# run_logged TITLE LOG COMMAND...  runs COMMAND (a function, too) with its output in a log. A terminal
# sees its last line live; a pipe hears from it every 30 s. On failure: the end of the log, and where it is.
# Says nothing where the log matches RUN_SILENT_IF: there was nothing to do.
run_logged() {
  local title=$1 log="$LOG_DIR/$2.log"
  shift 2
  mkdir -p "${log%/*}"
  local begin=$SECONDS spoke=$SECONDS rc=0
  local -a frames=('|' '/' '-' "\\")
  local frame=0
  set -m # its own process group, so that Ctrl-C reaches all of it at once
  (
    set +m
    "$@"
  ) >"$log" 2>&1 </dev/null &
  JOB_PID=$!
  set +m
  trap interrupted INT TERM
  while kill -0 "$JOB_PID" 2>/dev/null; do
    if [[ -n "$UI_LIVE" ]]; then
      printf '\r\e[K      %s %s %s%s%s' "${frames[frame++ % 4]}" "$(elapsed_text $((SECONDS - begin)))" \
        "$UI_DIM" "$(last_line "$log")" "$UI_OFF" >&2
    elif ((SECONDS - spoke >= 30)); then
      spoke=$SECONDS
      note "… $(elapsed_text $((SECONDS - begin))): $(last_line "$log")"
    fi
    sleep 0.1
  done
  wait "$JOB_PID" || rc=$?
  JOB_PID=""
  trap - INT TERM
  [[ -n "$UI_LIVE" ]] && printf '\r\e[K' >&2
  if ((rc != 0)); then
    say "${UI_RED}      failed${UI_OFF} after $(elapsed_text $((SECONDS - begin))): $title. The end of its log:"
    tail -n "${LOG_TAIL:-30}" "$log" | sed 's/^/      | /' >&2
    note "whole log: $log"
    return "$rc"
  fi
  [[ -n "${RUN_SILENT_IF:-}" ]] && grep -q "$RUN_SILENT_IF" "$log" && return
  note "${UI_GREEN}done${UI_OFF} in $(elapsed_text $((SECONDS - begin))): $title"
}

# with_lock NAME COMMAND...  so that two ./dev at once take turns instead of building over each other.
with_lock() {
  local name=$1 fd
  shift
  mkdir -p "$TACIT_CACHE/lock"
  exec {fd}>"$TACIT_CACHE/lock/$name"
  if ! flock -n "$fd"; then
    note "another ./dev is busy with '$name'; waiting for it"
    flock "$fd"
  fi
  "$@" || {
    exec {fd}>&-
    return 1
  }
  exec {fd}>&-
}
