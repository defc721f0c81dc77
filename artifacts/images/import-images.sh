#!/bin/sh
# lab-images [FOLDER [ROOT [RUN]]]: puts the images of FOLDER/image-NAME.tar into the containerd root directory ROOT,
# where the kubelet finds them, pinned against its garbage collection. RUN is for what lives as long as this script.
#
# To be run as root before containerd, at each boot: it only compares checksums when all is there. containerd has to be
# installed and not to run; one of our own fills the directory, with a socket and a state directory of its own. A run
# that was killed is finished by the next.
#
# Exit status: 0 if the images are there, 1 if not, with the reason as the last line of standard error.
set -eu
folder=${1:-/opt/lab/bin}
root=${2:-/var/lib/containerd}
run=${3:-/run/lab-images}

marker=$root/lab-images
database=$root/io.containerd.metadata.v1.bolt/meta.db
daemon=

die() {
    printf 'lab-images: %s\n' "$*" >&2
    exit 1
}

# Ends our containerd, by force if it does not listen. Its databases are transactional, so nothing is lost either way.
stop() {
    [ -n "$daemon" ] || return 0
    kill "$daemon" 2>/dev/null || true
    left=100
    while [ "$left" -gt 0 ] && kill -0 "$daemon" 2>/dev/null; do
        left=$((left - 1))
        sleep 0.1
    done
    kill -9 "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    daemon=
}

clean() {
    stop
    rm -rf "$run"
}

ours() {
    ctr --address "$run/containerd.sock" --connect-timeout 2s --namespace k8s.io "$@"
}

# Configuration version 2, which containerd 1.3 to 2.x read (containerd-config.toml(5)). Without the plugin `opt`, which
# would make /opt/containerd, and those of the kubelet.
start() {
    mkdir -m 700 "$run"
    cat >"$run/config.toml" <<END
version = 2
root = "$root"
state = "$run/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]

[grpc]
  address = "$run/containerd.sock"
END
    # Mounts that it makes while it unpacks end with it; and if this script is killed, so is containerd.
    unshare --mount --propagation slave setpriv --pdeathsig KILL \
        containerd --config "$run/config.toml" >"$run/log" 2>&1 9>&- &
    daemon=$!
    left=300
    until ours version >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || die "containerd ended: $(tail -n 3 "$run/log")"
        left=$((left - 1))
        [ "$left" -gt 0 ] || die "containerd does not answer: $(tail -n 3 "$run/log")"
        sleep 0.1
    done
}

# import ARCHIVE: it has to bring lab.local/NAME:TAG.
import() {
    name=${1##*/image-}
    name=${name%.tar}
    ours images import --snapshotter overlayfs "$1" >"$run/said" 2>&1 ||
        die "cannot import $1: $(tail -n 3 "$run/said")"
    ours images ls -q >"$run/listed"
    found=
    while read -r reference; do
        case $reference in
        "lab.local/$name:"*)
            ours images label "$reference" io.cri-containerd.pinned=pinned >/dev/null
            found=1
            ;;
        esac
    done <"$run/listed"
    [ -n "$found" ] || die "$1 has no image lab.local/$name"
}

for path in "$folder" "$root" "$run"; do
    case $path in
    /*[!A-Za-z0-9/._-]* | [!/]* | '') die "$path: use an absolute path of letters, digits, '.', '_' and '-'" ;;
    esac
done
cd "$folder"
set -- image-*.tar
[ -e "$1" ] || die "there is no image-NAME.tar in $folder; is the disk of programs mounted there?"
wanted=$(sha256sum "$@")
if [ -e "$marker" ] && [ "$(cat "$marker")" = "$wanted" ]; then
    exit 0
fi
for program in containerd ctr flock setpriv unshare; do
    command -v "$program" >/dev/null || die "there is no $program; install containerd and util-linux"
done

mkdir -p "$root" "${run%/*}"
# Two at once take turns. The lock goes with this process, however it ends.
exec 9>"$run.lock"
flock -w 300 9 || die "another run holds $run.lock"
# containerd holds a lock on its database; one that was left by a killed run of this script is about to end.
if [ -e "$database" ]; then
    flock -w 3 "$database" true || die "containerd runs with $root already: stop it, and run this again"
fi
rm -rf "$run"
trap clean EXIT
trap 'exit 1' HUP INT TERM
start
for archive in "$@"; do
    import "$folder/$archive"
done
stop
# What the marker speaks of has to be on the disk before it, also after a power cut.
printf '%s\n' "$wanted" >"$marker.new"
sync -f "$root"
mv "$marker.new" "$marker"
