#!/bin/bash
# Tries connections: try.sh SECONDS, and on standard input one line for each: connect|ask ADDRESS PORT
# All at the same time; each has SECONDS after the last has begun. Says of each, as it comes:
#   ADDRESS PORT connected
#   ADDRESS PORT told WORDS        the first line that the other end said, after "ask" and "connected"
#   ADDRESS PORT failed REASON
#   ADDRESS PORT silent
# Only forks: starting a program for each would cost a slow machine more time than a flow has.
export LC_ALL=C
# Each trial is a process group, so that it can be ended with what it waits in.
set -m
exec 4>&1 5>&2 2>/dev/null

try() {
    local said
    said=$(
        exec 2>&1
        exec 3<>"/dev/tcp/$2/$3" || exit
        echo "$2 $3 connected" >&4
        if [ "$1" = ask ] && read -r -u 3 words; then
            echo "$2 $3 told $words" >&4
        fi
    ) || echo "$2 $3 failed ${said##*: }"
}

trials=()
flows=()
while read -r how address port; do
    try "$how" "$address" "$port" </dev/null &
    trials+=($!)
    flows+=("$address $port")
done
{
    sleep "$1"
    for trial in "${trials[@]}"; do kill -KILL -- "-$trial"; done
} &
watch=$!
for at in "${!trials[@]}"; do
    wait "${trials[at]}"
    [ $? -lt 128 ] || echo "${flows[at]} silent"
done
kill -KILL -- "-$watch"
exit 0
