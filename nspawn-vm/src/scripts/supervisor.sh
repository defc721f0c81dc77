#!/bin/sh
# Keeps one machine running: mounts its root, runs systemd-nspawn, and runs it again when the machine reboots.
#
#   supervisor.sh KIND DIR PIDFILE GROUP NSPAWN ARGS...
#
# KIND     cgroup-v1 (this script is the supervisor) or cgroup-v2 (a service of the host's systemd is)
# DIR      the directory of the machine: lower, upper, work, root, skeleton (a link)
# PIDFILE  where the process number of systemd-nspawn is kept, for cgroup-v1
# GROUP    the path of the machine's control group below each hierarchy, for cgroup-v1
#
# It runs in a mount namespace of its own that is a slave of the host's: no mount here is seen outside, and all
# are gone with the last process of the machine.
set -u
kind=$1 dir=$2 pidfile=$3 group=$4
shift 4
exec </dev/null >>"$dir/console.log" 2>&1

join() {
    for hierarchy in /sys/fs/cgroup/*/; do
        at=$hierarchy$group
        [ -e "${hierarchy}cgroup.procs" ] || continue
        mkdir -p "$at" || return 1
        # A new cpuset group is empty and takes no process before it has processors and memory nodes.
        if [ -e "${hierarchy}cpuset.cpus" ]; then
            for new in "${at%/*}" "$at"; do
                cat "${hierarchy}cpuset.cpus" >"$new/cpuset.cpus"
                cat "${hierarchy}cpuset.mems" >"$new/cpuset.mems"
                echo 1 >"$new/cgroup.clone_children"
            done
        fi
        echo $$ >"$at/cgroup.procs" || return 1
    done
}
# Before anything else: whoever removes the group finds this process by it.
[ "$kind" = cgroup-v2 ] || join || exit 1

# systemd-nspawn keeps locks here that it does not remove when it is killed.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 lab-nspawn /run/systemd/nspawn || exit 1
mount -t overlay -o "lowerdir=$dir/lower:$dir/skeleton,upperdir=$dir/upper,workdir=$dir/work" \
    lab-machine "$dir/root" || exit 1

if [ "$kind" = cgroup-v2 ]; then
    # The host's systemd made the control group, and starts this script again when the machine reboots.
    exec "$@"
fi

while :; do
    # Groups of the last boot: left there, the kubelet would spend seconds on each.
    find /sys/fs/cgroup/*/"$group" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
    "$@" &
    nspawn=$!
    echo $nspawn >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
    wait $nspawn
    status=$?
    rm -f "$pidfile"
    # 133 is a reboot of the machine; see systemd-nspawn's source, nspawn.c: EXIT_FORCE_RESTART.
    [ $status = 133 ] || break
done
echo "systemd-nspawn ended with status $status"
