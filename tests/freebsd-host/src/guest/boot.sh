#!/bin/sh
# Process 1 of a VM's own pid namespace, until systemd-nspawn takes its place; the network namespace that it is in is
# the guest's.
#   boot.sh DISK SKELETON CONSOLE GROUPS NSPAWN ARGS...
# GROUPS are the directories of its control groups, none with a blank in its name.
# It says when it is ready for the cards to be put in, and goes on with the next line that it reads.
set -u
disk=$1 skeleton=$2 console=$3 groups=$4
shift 4
# Before anything else: whoever makes room for the next boot finds this process by them.
for group in $groups; do
    echo 0 >"$group/cgroup.procs" || exit 70
done
mount -t proc proc /proc || exit 70
# systemd-nspawn keeps locks here that it does not remove when it is killed.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 nspawn /run/systemd/nspawn || exit 70
mount -t overlay -o "lowerdir=$skeleton,upperdir=$disk/upper,workdir=$disk/work" guest "$disk/root" || exit 70
echo ready
read -r go && [ "$go" = go ] || exit 70
exec "$@" <>"$console" >&0 2>&1
