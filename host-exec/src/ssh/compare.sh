#!/bin/sh
# Tells what files are like: FILE...; first a line with + for each that is there and - for each that is not, then the
# checksums of those that are there, then their lines of ls -l.
set -eu
known=
for file do
    shift
    if [ -e "$file" ]; then
        known=$known+
        set -- "$@" "$file"
        continue
    fi
    # Not there, or not to be seen: only the words tell. FreeBSD shows a link that leads nowhere as itself.
    if [ ! -h "$file" ]; then said=$(ls -d -- "$file" 2>&1 || true); else said=": No such file or directory"; fi
    case $said in
    *": No such file or directory" | *": Not a directory") known=$known- ;;
    *) echo "$said" >&2; exit 1 ;;
    esac
done
echo "$known"
[ $# -gt 0 ] || exit 0
# FreeBSD has sha256, and the name of the others only since 14.
if command -v sha256sum > /dev/null; then sha256sum -- "$@"; else sha256 -q -- "$@"; fi
# One by one, because it would sort them.
for file do ls -lLdq -- "$file"; done
