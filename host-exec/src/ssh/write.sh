#!/bin/sh
# Replaces a file by standard input: DIRECTORY TEMPORARY NAME MODE SIZE.
# The temporary file is made anew (set -C is O_EXCL), empty and closed to others, and has its mode before its
# first byte. The size is compared because a lost connection looks like the end of the input.
set -eu
if [ -d "$3" ]; then echo "$3: Is a directory" >&2; exit 1; fi
umask 022
mkdir -p -- "$1"
umask 077
rm -f -- "$2"
set -C
exec 3> "$2"
set +C
chmod "$4" "$2"
dd bs=65536 conv=fsync status=none >&3
exec 3>&-
if [ "$(wc -c < "$2")" -ne "$5" ]; then rm -f -- "$2"; echo "the input broke off" >&2; exit 1; fi
mv -f -- "$2" "$3"
