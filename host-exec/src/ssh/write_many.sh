#!/bin/sh
# Replaces small files: COUNT, then for each TEMPORARY UMASK MODE, where TEMPORARY is DIRECTORY/.NAME.new and MODE is
# "plain" where the umask says it all; on standard input a line for each, of which printf %b makes its contents.
# Each temporary file is made anew (set -C is O_EXCL) and has its mode before its first byte. Only a whole line counts,
# because a lost connection looks like the end of the input.
set -eu
count=$1
shift
while [ "$count" -gt 0 ]; do
    temporary=$1 mask=$2 mode=$3
    shift 3
    directory=${temporary%/*}
    name=${temporary##*/.}
    if [ -d "$directory/${name%.new}" ]; then echo "$directory/${name%.new}: Is a directory" >&2; exit 1; fi
    if [ ! -d "$directory/" ]; then umask 022; mkdir -p -- "$directory"; fi
    if [ -e "$temporary" ] || [ -h "$temporary" ]; then rm -f -- "$temporary"; fi
    IFS= read -r line || { echo "the input broke off" >&2; exit 1; }
    umask "$mask"
    set -C
    exec 3> "$temporary"
    set +C
    if [ "$mode" != plain ]; then chmod "$mode" "$temporary"; fi
    printf %b "$line" >&3
    exec 3>&-
    set -- "$@" "$temporary"
    count=$((count - 1))
done
# FreeBSD has fsync(1); sync(1) of the others takes files too.
if command -v fsync > /dev/null; then fsync "$@"; else sync "$@"; fi
for temporary do
    name=${temporary##*/.}
    mv -f -- "$temporary" "${temporary%/*}/${name%.new}"
done
