#!/bin/sh
# Process 1 of a machine for its first moment: what systemd must find done before it looks around.

# cgroup v1: nspawn gives the hierarchies read-only; systemd and the kubelet make groups in them.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    for hierarchy in /sys/fs/cgroup/*/; do
        mount -o remount,bind,rw "$hierarchy" 2>/dev/null
    done
fi

# Settings that the kubelet writes and that are not per namespace: it gets files of its own to write,
# so that nothing of the host changes.
mkdir -p /run/lab/sysctl
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    shadow=/run/lab/sysctl/$(echo $name | tr / .)
    cat "/proc/sys/$name" >"$shadow" 2>/dev/null && mount --bind "$shadow" "/proc/sys/$name"
done

# Machines route for their pods, and bridged pod traffic has to pass the rules of kube-proxy.
for name in ipv4/ip_forward ipv6/conf/all/forwarding ipv6/conf/default/forwarding \
    bridge/bridge-nf-call-iptables bridge/bridge-nf-call-ip6tables; do
    echo 1 >"/proc/sys/net/$name" 2>/dev/null
done

# Volumes with mount propagation need a shared tree; nspawn gives a private one.
mount --make-rshared /
exec /usr/lib/systemd/systemd
