# Shows the log of a serial port and types into its device: LOG DEVICE. Ctrl-] (octal 035) ends it.
# The log is followed by its name (-F), since the recorder begins it anew. Keys are read one by one, as they are.
log=$1
device=$2
if [ ! -e "$log" ]; then echo "no console log $log: the VM was never started" >&2; exit 1; fi
echo "Ctrl-] leaves the console" >&2
saved=$(stty -g) || exit 1
tail -n 40 -F "$log" &
shown=$!
trap 'kill "$shown" 2>/dev/null; stty "$saved"' EXIT
trap 'exit 0' HUP INT TERM
stty raw -echo
exec 3>"$device" || exit 1
# Three octal digits of each key; none at the end of the input.
while key=$(dd bs=1 count=1 2>/dev/null | od -An -to1 | tr -d ' '); do
    case $key in
    '' | 035) break ;;
    esac
    # shellcheck disable=SC2059 # the format is the key
    printf "\\$key" >&3
done
