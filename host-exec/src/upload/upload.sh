#!/bin/sh
# Takes a big file in pieces: look FILE DIRECTORY PART OTHERS | take FILE DIRECTORY PART OTHERS OFFSET SIZE SHA256 MODE.
# PART holds what has come so far and is closed to others; OTHERS, 16 digits and ".part" are the names of the parts of
# other contents of FILE, which nobody will finish. The answer is a checksum, or "none", and in "look" the size of PART.
set -eu
verb=$1 file=$2 directory=$3 part=$4 others=$5

sum() {
    # FreeBSD has sha256, and the name of the others only since 14.
    if command -v sha256sum > /dev/null; then sha256sum < "$1" | cut -c 1-64; else sha256 -q < "$1"; fi
}

size() {
    if [ -f "$part" ] && [ ! -h "$part" ]; then wc -c < "$part"; else echo 0; fi
}

if [ -d "$file" ]; then echo "$file: Is a directory" >&2; exit 1; fi
if [ "$verb" = look ]; then
    if [ -f "$file" ]; then found=$(sum "$file"); else found=none; fi
    echo "$found" "$(size)"
    exit
fi

offset=$6 whole=$7 wanted=$8 mode=$9
umask 022
mkdir -p -- "$directory"
umask 077
for other in "$others"????????????????.part; do
    [ "$other" = "$part" ] || rm -f -- "$other"
done
if [ "$offset" -eq 0 ]; then
    rm -f -- "$part"
    (set -C && : > "$part")
elif [ "$(size)" -ne "$offset" ]; then
    echo "$part: somebody else writes to it" >&2
    exit 1
fi
dd bs=65536 conv=fsync status=none >> "$part"
if [ "$(size)" -ne "$whole" ]; then echo "the input broke off" >&2; exit 1; fi
found=$(sum "$part")
if [ "$found" != "$wanted" ]; then
    rm -f -- "$part"
    echo "$found"
    exit
fi
chmod "$mode" "$part"
mv -f -- "$part" "$file"
echo "$found"
