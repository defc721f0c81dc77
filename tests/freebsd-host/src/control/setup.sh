#!/bin/sh
# Makes a host out of fresh namespaces, as their process 1, and then becomes the host's kernel.
#   setup.sh ROOT
set -eu
root=$1
world=$root/var/db/freebsd-host

# ---------------------------------------------------------------- file systems
mount --bind "$root" "$root"
# Processes by the numbers that they have here.
mount -t proc proc /proc
# The stand-ins lie in /usr/bin and /usr/sbin; what they and the guests need of the machine lies beside.
mount --bind -o ro /usr "$world/usr"
for part in lib lib64 libexec share; do
    mount --bind -o ro "/usr/$part" "$root/usr/$part"
done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty kmsg fuse; do
    [ -e "/dev/$device" ] || continue
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/zvol"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
hostname bhyve-host

# ---------------------------------------------------------------- the network
# The internet routes nothing back but what is on its own wire: the host has to translate addresses.
unshare --net "$world/links/freebsd-host-internet" &
internet=$!
tries=0
until [ "$(readlink "/proc/$internet/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || exit 1
    sleep 0.01
done
ip -batch - <<END
link set lo up
link add em0 address 58:9c:fc:00:00:02 type veth peer name em0 address 58:9c:fc:00:00:01 netns $internet
END
nsenter "--net=/proc/$internet/ns/net" ip -batch - <<END
link set lo up
addr add 198.51.100.80/32 dev lo
addr add 2001:db8:f::80/128 dev lo nodad
addr add 192.0.2.1/24 dev em0
addr add 2001:db8::1/64 dev em0 nodad
link set em0 up
END
ip -batch - <<END
addr add 192.0.2.2/24 dev em0
addr add 2001:db8::2/64 dev em0 nodad
link set em0 up
route add default via 192.0.2.1
route add default via 2001:db8::1
END
"$world/links/freebsd-host-net" prepare

cd "$root"
# The machine's own tree is gone from sight; its /proc, which shows other processes, too.
pivot_root . .
exec /var/db/freebsd-host/usr/bin/sh -c '
    /var/db/freebsd-host/usr/bin/umount -l . && cd / &&
    exec /var/db/freebsd-host/links/freebsd-host-init' </dev/null
