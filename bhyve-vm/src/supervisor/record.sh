#!/bin/sh
# Keeps what a VM writes to its serial port. Written by bhyve-vm; changes here are lost.
#
# It holds the B side of the null-modem device from before bhyve opens A, so the first byte is not lost. `console`
# is the log, `console.1` what was before it: together never more than about CONSOLE_BYTES.
set -u
umask 077
export LC_ALL=C

#@CONSTANTS@

cd "$DIRECTORY" || exit 71

size() { wc -c <console 2>/dev/null || echo 0; }

# nmdm(4) is a terminal: with its echo on, the guest would read its own words. clocal: bhyve's end is not ours.
open_console() {
    exec 3<"$CONSOLE"
    stty raw -echo clocal <&3 || exit 71
}

open_console
: >>console
trap 'kill "$copier" 2>/dev/null; exit 0' TERM INT
while :; do
    before=$(size)
    # Not buffered, and at most 32 KiB between two looks at the size.
    dd bs=512 count=64 <&3 2>/dev/null >>console &
    copier=$!
    wait "$copier"
    after=$(size)
    if [ "$after" -gt "$((CONSOLE_BYTES / 2))" ]; then
        mv console console.1
        : >console
    elif [ "$after" -eq "$before" ]; then
        # Nobody is on the other side; a dead terminal must not keep a processor busy.
        sleep 1
        open_console
    fi
done
