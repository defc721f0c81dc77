#!/bin/sh
# Keeps one bhyve virtual machine running. Written by bhyve-vm; changes here are lost.
#
#   supervise       run under daemon(8); ends when the VM is stopped (0) or has failed (1);
#                   75: another one runs already
#   supervise run   one run of bhyve: started by the first form, outlives it if that is killed
#
# Files in its directory: `request` (stop, reboot or kill; write another name, then mv),
# `events` and `events.1` (the log), `stderr` and `stderr.1` (bhyve's words in this and the last run),
# `console` and `console.1` (what record wrote). All others are its memory.
set -u
umask 077
export LC_ALL=C

#@CONSTANTS@

cd "$DIRECTORY" || exit 71

now() { date +%s; }

boot() {
    count=$(recall boot)
    echo "${count:-0}"
}

# One line with one write: a reader never sees half of it.
note() {
    printf '%s %s %s\n' "$(now)" "$(boot)" "$*" >>events
    if [ "$(wc -c <events)" -gt "$EVENTS_BYTES" ]; then
        mv events events.1
    fi
}

# Replaces file $1 by a line $2, whole or not at all.
publish() {
    printf '%s\n' "$2" >"$1.new.$$" && mv "$1.new.$$" "$1"
}

# Without cat(1): this is asked at every tick.
recall() {
    recalled=''
    if [ -e "$1" ]; then read -r recalled <"$1" || :; fi 2>/dev/null
    printf '%s' "$recalled"
}

# ---------------------------------------------------------------- one run of bhyve

# The status is kept on disk: whoever supervises by then, finds it.
run() {
    # Caught, not ignored: bhyve gets the default back, and this process still tells the status at a shutdown.
    trap : TERM INT
    trap '' HUP
    publish runner.pid $$
    bhyve_command >>stderr 2>&1 </dev/null &
    child=$!
    publish bhyve.pid "$child"
    while :; do
        wait "$child"
        status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    if [ "$status" -gt 128 ]; then
        # The trap may have cut the wait short at the same moment: 127 means that the first answer was the true one.
        wait "$child"
        again=$?
        [ "$again" -eq 127 ] || status=$again
    fi
    publish status "$status"
}

# ---------------------------------------------------------------- what is there

is_ours() { # pid, word: whether that process is this script, called with that word
    case $1 in '' | *[!0-9]*) return 1 ;; esac
    case $(ps -ww -o command= -p "$1" 2>/dev/null) in
    *"$DIRECTORY/$2"*) return 0 ;;
    esac
    return 1
}

# bhyve sets this title once it has read its arguments.
titled() { pgrep -fx "bhyve: $NAME" | head -n 1; }

# The run has ended when its status is there, or when nobody is left who could tell it.
ended() {
    [ -e "$NODE" ] && [ ! -e seen ] && : >seen
    [ -e status ] && return 0
    runner=$(recall runner.pid)
    [ -n "$runner" ] && kill -0 "$runner" 2>/dev/null && return 1
    [ -e status ] && return 0
    [ -z "$(titled)" ]
}

# Waits for at most $1 ticks; $2 = urgent: a request to kill ends the wait.
await_end() {
    ticks=$1
    until ended; do
        [ "$ticks" -gt 0 ] || return 1
        ticks=$((ticks - 1))
        cap_stderr
        if [ "${2-}" = urgent ] && [ "$(recall request)" = kill ]; then return 1; fi
        sleep "$TICK"
    done
}

cap_stderr() {
    if [ "$(wc -c <stderr)" -gt "$STDERR_BYTES" ]; then
        # bhyve appends, so it may be cut under its hands.
        tail -c 4096 stderr >stderr.cut
        : >stderr
    fi
}

destroy_node() {
    [ -e "$NODE" ] || return 0
    bhyvectl --vm="$NAME" --destroy >/dev/null 2>>bhyvectl.log
    ticks=$GONE_TICKS
    while [ -e "$NODE" ]; do
        if [ "$ticks" -le 0 ]; then
            note node-stuck
            return 1
        fi
        ticks=$((ticks - 1))
        sleep "$TICK"
    done
}

# ---------------------------------------------------------------- one at a time

claim() {
    if ! ln -s $$ lock 2>/dev/null; then
        owner=$(readlink lock)
        if is_ours "$owner" supervise; then
            echo "supervise: process $owner supervises $NAME already" >&2
            exit 75
        fi
        # A killed one left it. Two that come now are kept apart by daemon(8), which locks its own pid file.
        rm -f lock
        ln -s $$ lock || exit 75
    fi
    if [ -s events ] && [ "$(tail -c 1 events | wc -l)" -eq 0 ]; then
        # The disk was full or the host fell: the line is marked, and the next one stands alone.
        echo '~' >>events
    fi
}

record_console() {
    [ -n "$CONSOLE" ] || return 0
    is_ours "$(recall recorder.pid)" record && return 0
    sh "$DIRECTORY/record" </dev/null >/dev/null 2>>record.log &
    publish recorder.pid $!
}

# ---------------------------------------------------------------- start

start() {
    record_console
    boot=$(($(boot) + 1))
    publish boot "$boot"
    rm -f status runner.pid seen asked again request.taken
    if [ -e stderr ]; then mv stderr stderr.1; fi
    : >stderr
    if [ -n "$CONSOLE" ]; then printf '\n--- boot %s ---\n' "$boot" >>console; fi
    publish started "$(now)"
    publish bhyve.pid starting
    note starting
    sh "$DIRECTORY/supervise" run </dev/null >/dev/null 2>>record.log &
    await_pid
    note started pid="$(bhyve_pid)"
}

# Between fork and pid nobody may take the node for a leaked one.
await_pid() {
    ticks=$PID_TICKS
    while [ "$(recall bhyve.pid)" = starting ] && [ "$ticks" -gt 0 ] && [ ! -e status ]; do
        ticks=$((ticks - 1))
        sleep "$PID_TICK"
    done
}

# Goes on where a killed supervisor stood, or starts afresh.
begin() {
    note supervising pid=$$
    if [ -e bhyve.pid ]; then
        await_pid
        record_console
        if ! ended; then
            note adopted pid="$(bhyve_pid)"
            return 0
        fi
        # Its end is judged like any other. Without a status the host itself went down: nothing to judge.
        [ -e status ] && return 0
        note lost
    else
        found=$(titled)
        if [ -n "$found" ]; then
            record_console
            publish bhyve.pid "$found"
            publish started "$(now)"
            rm -f status runner.pid asked
            note adopted pid="$found"
            return 0
        fi
    fi
    rm -f request request.taken asked again
    if [ -e "$NODE" ]; then
        note leaked-node
        destroy_node || finish failed host-fault
    fi
    start
}

# ---------------------------------------------------------------- requests

# A request is kept until the run has ended, so that the next supervisor goes on with it.
take_request() {
    if [ -e request ] && mv request request.taken; then :; fi
    recall request.taken
}

# 0 for none: kill(1) with nothing to kill must never be a group.
bhyve_pid() {
    pid=$(recall bhyve.pid)
    case $pid in '' | *[!0-9]*) pid=$(titled) ;; esac
    echo "${pid:-0}"
}

rung() { # name, what we asked for if bhyve ends now
    publish asked "$2"
    note rung what="$1"
}

signal() {
    pid=$(bhyve_pid)
    if [ "$pid" -gt 1 ]; then kill "-$1" "$pid" 2>/dev/null; fi
}

# Each rung waits for its time, then the next one is tried. Fails if bhyve survives all of them.
stop_guest() {
    note requested what="$1"
    if [ "$1" = reboot ]; then : >again; else rm -f again; fi
    if [ "$1" != kill ]; then
        rung acpi power-button
        signal TERM
        await_end "$AGAIN_TICKS" urgent && return 0
        # A guest that was still busy with the first press has missed it.
        rung acpi-again power-button
        signal TERM
        await_end "$GRACE_TICKS" urgent && return 0
        [ "$(take_request)" = reboot ] || rm -f again
    fi
    rung force-poweroff force-power-off
    bhyvectl --vm="$NAME" --force-poweroff >/dev/null 2>>bhyvectl.log
    await_end "$FORCE_TICKS" && return 0
    rung kill kill
    signal KILL
    await_end "$FORCE_TICKS" && return 0
    rung destroy destroy
    bhyvectl --vm="$NAME" --destroy >/dev/null 2>>bhyvectl.log
    await_end "$FORCE_TICKS"
}

watch() {
    until ended; do
        request=$(take_request)
        case $request in
        stop | reboot | kill)
            stop_guest "$request" || finish failed will-not-end
            ;;
        '')
            cap_stderr
            sleep "$TICK"
            ;;
        *)
            note refused
            rm -f request.taken
            ;;
        esac
    done
}

# ---------------------------------------------------------------- the end of a run

said() {
    if grep -qi '^usage: ' stderr; then
        echo usage
    elif grep '^bhyve: ' stderr | grep -qiv warning; then
        echo complaint
    else
        echo nothing
    fi
}

# The last words on the console in this boot.
console_says() {
    cat console.1 console 2>/dev/null | tail -c 4096 | awk '
        /^--- boot [0-9]+ ---/ { says = "nothing" }
        /Kernel panic - not syncing/ { says = "panic" }
        /reboot: Power down/ { if (says != "panic") says = "power-down" }
        BEGIN { says = "nothing" }
        END { print says }'
}

is_believable() {
    [ "$console" = power-down ] && return 0
    [ "$node" = yes ] && [ "$words" = nothing ] || return 1
    [ "$asked" = power-button ] || [ "$ran" -ge "$START_UP" ]
}

# The same table as exit_cause of the crate, which its tests compare.
cause() {
    case $status in
    0) if [ "$console" = panic ]; then echo guest-panicked; else echo guest-rebooted; fi ;;
    1)
        if [ "$words" = usage ]; then
            echo bad-configuration
        elif [ "$asked" = force-power-off ]; then
            echo ended-by-us
        elif [ "$console" = panic ]; then
            echo guest-panicked
        elif is_believable; then
            echo guest-powered-off
        else
            echo host-fault
        fi
        ;;
    2) echo guest-halted ;;
    3) if [ "$console" = panic ]; then echo guest-panicked; else echo triple-fault; fi ;;
    4) if [ "$asked" = destroy ]; then echo ended-by-us; else echo host-fault; fi ;;
    64) echo bad-configuration ;;
    71 | 126 | 127) echo host-fault ;;
    132 | 134 | 136 | 138 | 139 | 140) echo aborted ;;
    137) if [ "$asked" = kill ]; then echo ended-by-us; else echo killed; fi ;;
    143) echo ended-while-booting ;;
    lost) echo status-lost ;;
    *) echo unexpected ;;
    esac
}

# Restarts within the time of the budget; older ones are forgotten.
restarts() {
    since=$(($(now) - WITHIN))
    awk -v since="$since" '$1 > since' restarts 2>/dev/null >restarts.new
    mv restarts.new restarts
    wc -l <restarts | tr -d ' '
}

conclude() {
    status=$(recall status)
    status=${status:-lost}
    ran=$(($(now) - $(recall started)))
    asked=$(recall asked)
    asked=${asked:-nothing}
    node=no
    if [ -e seen ]; then node=yes; fi
    words=$(said)
    console=$(console_says)
    why=$(cause)
    note exited status="$status" ran="$ran" asked="$asked" node="$node" said="$words" console="$console" cause="$why"
    wanted=run
    if [ -e again ]; then wanted=again; elif [ -e request.taken ]; then wanted=stop; fi
    # Whoever changed their mind while the guest went down is heard, too.
    case $(recall request) in stop | kill) wanted=stop ;; esac
    react
}

react() {
    case $why in
    bad-configuration | host-fault | unexpected)
        finish failed "$why"
        ;;
    status-lost)
        [ "$wanted" != run ] || finish failed "$why"
        ;;
    guest-powered-off | guest-halted | ended-by-us | ended-while-booting)
        [ "$wanted" = again ] || finish stopped "$why"
        start_again 0 "$(restarts)"
        return
        ;;
    esac
    [ "$wanted" != stop ] || finish stopped "$why"
    used=$(restarts)
    # What we asked for is no sign of trouble.
    if [ "$wanted" = again ]; then
        start_again 0 "$used"
        return
    fi
    [ "$used" -lt "$RESTARTS" ] || finish failed "$why"
    now >>restarts
    if [ "$why" = guest-rebooted ]; then
        start_again 0 "$used"
    else
        shift=$used
        [ "$shift" -le 16 ] || shift=16
        destroy_node || finish failed host-fault
        start_again "$((PAUSE << shift))" "$used"
    fi
}

start_again() { # seconds, restarts so far
    note restarting after="$1" used="$2"
    ticks=$(($1 * TICKS))
    while [ "$ticks" -gt 0 ]; do
        case $(recall request) in
        stop | kill) finish stopped "$why" ;;
        esac
        ticks=$((ticks - 1))
        sleep "$TICK"
    done
    start
}

finish() { # stopped or failed, cause
    if ! destroy_node; then set -- failed host-fault; fi
    # The last words may still be in the null-modem device.
    recorder=$(recall recorder.pid)
    if is_ours "$recorder" record; then
        sleep "$TICK"
        kill "$recorder" 2>/dev/null
    fi
    note "$1" cause="$2"
    rm -f status runner.pid bhyve.pid started seen asked again request request.taken recorder.pid lock
    [ "$1" = stopped ]
    exit $?
}

# By this name others find it in the list of processes.
if [ "$0" != "$DIRECTORY/supervise" ]; then
    echo "supervise: call it as $DIRECTORY/supervise" >&2
    exit 64
fi
if [ "${1-}" = run ]; then
    run
    exit 0
fi
claim
# daemon(8) and init(8) end us with TERM: the guest shall shut down first.
trap 'publish request stop' TERM INT
trap '' HUP
begin
while :; do
    watch
    conclude
done
