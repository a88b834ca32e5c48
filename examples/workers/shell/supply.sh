#!/usr/bin/env bash
# A worker in plain shell: supplies candidates for quests with a fixer of the kind `worker`.
#
#   supply.sh STATE COMMAND [ARG ...]
#
# COMMAND prints a unified diff on standard output. QUEST, PASS, REPO and COMMIT say what for, and REQUEST has the whole
# answer as JSON. When it prints nothing, nothing is supplied.
set -u
cd_from=$(dirname "${BASH_SOURCE[0]}")
. "$cd_from/bus.sh"

state=$1
own_name=${QUESTBUS_NAME:-worker}
shift

# Sends one command until it is answered, by a new connection where the old one is gone.
ask() {
  local verb=$1 data=$2 wait_s=$3 id status
  id=$(openssl rand -hex 16)
  until bus_request "$verb" "$data" "$id" "$wait_s"; do
    status=$?
    [ "$status" = 2 ] || return "$status"
    sleep 0.5
    exec 3>&-
    until bus_open "$state" worker "$own_name"; do sleep 1; done
  done
}

until bus_open "$state" worker "$own_name"; do sleep 1; done
while true; do
  ask requests '{"waitMs":25000}' 30 || { echo "refused: $answer" >&2; sleep 1; continue; }
  QUEST=$(json_value quest <<< "$answer")
  [ -n "$QUEST" ] || continue
  PASS=$(json_value pass <<< "$answer")
  REPO=$(json_value repo <<< "$answer")
  COMMIT=$(json_value commit <<< "$answer")
  REQUEST=$answer
  export QUEST PASS REPO COMMIT REQUEST
  # A diff ends with a new line, which $(...) takes away.
  patch=$("$@") || { sleep 1; continue; }
  [ -n "$patch" ] || { sleep 1; continue; }
  name=$(json_text "${1##*/}")
  if ask supply "{\"quest\":\"$QUEST\",\"pass\":$PASS,\"name\":$name,\"change\":{\"patch\":$(json_text "$patch" "\\n")}}" 5; then
    echo "$QUEST pass $PASS: supplied"
  else
    echo "$QUEST pass $PASS: not taken: $answer" >&2
    sleep 1
  fi
done
