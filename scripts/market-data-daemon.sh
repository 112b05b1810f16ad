#!/bin/sh
# Runs the recorder in the background on machines without systemd.
# Usage: market-data-daemon.sh start | stop | restart | reload | status | logs
#
#   MD_CONFIG   configuration; default /etc/market-data/config.yaml for root, else ./config.yaml
#   MD_RUN      folder of the pid file and the logs; default /var/lib/market-data/run for root,
#               else ~/.local/state/market-data
#   MD_PROGRAM  the program; default: market-data on the PATH, else build/market-data beside this
#   MD_USER     whom root becomes; default market-data, where that user exists
#
# Exit codes: 0 done; 1 failed; 2 wrong use; 3 not running (status).
set -u
umask 027

here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" -eq 0 ]; then
  config=${MD_CONFIG:-/etc/market-data/config.yaml}
  run=${MD_RUN:-/var/lib/market-data/run}
  user=${MD_USER:-market-data}
  getent passwd "$user" >/dev/null || user=
else
  config=${MD_CONFIG:-config.yaml}
  run=${MD_RUN:-${XDG_STATE_HOME:-$HOME/.local/state}/market-data}
  user=
fi
program=${MD_PROGRAM:-$(command -v market-data || echo "$here/../build/market-data")}
pid_file=$run/pid log=$run/log out=$run/out
start_wait_s=${MD_START_WAIT:-120} # venues' symbol lists may be slow
stop_wait_s=30                              # it seals within ten seconds

fail() { echo "market-data-daemon: $*" >&2; exit 1; }

# The start time in clock ticks tells our process from another one that got its number later.
started() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

running() { # sets pid
  pid= ticks=
  [ -f "$pid_file" ] && read -r pid ticks <"$pid_file"
  [ -n "$pid" ] && [ -n "$ticks" ] && [ "$(started "$pid")" = "$ticks" ]
}

as_user() {
  if [ -n "$user" ]; then
    exec setpriv --reuid "$user" --regid "$(id -gn "$user")" --init-groups --no-new-privs "$@"
  fi
  exec "$@"
}

start() {
  running && { echo "running already, pid $pid"; return 0; }
  [ -x "$program" ] || fail "$program: no such program: build it with make, or set MD_PROGRAM"
  [ -r "$config" ] || fail "$config: cannot be read: write it, or set MD_CONFIG"
  config=$(realpath "$config")
  mkdir -p "$run" || fail "$run: cannot be made: set MD_RUN"
  [ -n "$user" ] && chown "$user" "$run"
  : >"$out"
  [ -n "$user" ] && chown "$user" "$out"
  (
    as_user setsid "$program" record -c "$config" --set log.file="$log"
  ) </dev/null >>"$out" 2>&1 &
  pid=$!
  n=0
  while kill -0 "$pid" 2>/dev/null; do
    if grep -q '^recording;' "$out"; then
      echo "$pid $(started "$pid")" >"$pid_file"
      echo "started, pid $pid; log: $log"
      return 0
    fi
    n=$((n + 1))
    [ "$n" -lt $((start_wait_s * 10)) ] || { kill "$pid"; break; }
    sleep 0.1
  done
  tail -n 20 "$out" >&2
  fail "did not start; see above"
}

stop() {
  running || { rm -f "$pid_file"; echo "not running"; return 0; }
  kill -TERM "$pid"
  n=0
  while [ "$(started "$pid")" = "$ticks" ]; do
    n=$((n + 1))
    [ "$n" -lt $((stop_wait_s * 10)) ] || fail "pid $pid still runs after $stop_wait_s s: its log is $log"
    sleep 0.1
  done
  rm -f "$pid_file"
  grep '^market-data:' "$out" >&2 # what is left to the journal, if anything
  echo "stopped"
}

status() {
  running || { echo "not running"; exit 3; }
  up=$(cut -d. -f1 /proc/uptime)
  lasted=$((up - ticks / $(getconf CLK_TCK)))
  memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
  printf 'running, pid %s, for %d:%02d:%02d, %d MiB\n' "$pid" $((lasted / 3600)) $((lasted / 60 % 60)) \
    $((lasted % 60)) $((memory / 1024))
  echo "configuration $config, log $log"
  [ -s "$log" ] && tail -n 5 "$log"
  return 0
}

case ${1:-} in
start) start ;;
stop) stop ;;
restart) stop && start ;;
reload) running || fail "not running"; kill -HUP "$pid" ;;
status) status ;;
logs) touch "$log" && exec tail -n 50 -F "$log" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
