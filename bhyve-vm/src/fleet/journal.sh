# Runs a command between two lines in the lab's journal: JOURNAL STEP COMMAND [ARGUMENT ...]
# Each line is one write. Before the lab has its directory, and after, there is no journal.
journal=$1
step=$2
shift 2
note() {
    if [ -d "${journal%/*}" ]; then printf '%s %s %s\n' "$(date +%s)" "$1" "$step" >>"$journal"; fi
}
note begun
"$@"
status=$?
if [ "$status" -eq 0 ]; then note "done"; else note "failed($status)"; fi
exit "$status"
