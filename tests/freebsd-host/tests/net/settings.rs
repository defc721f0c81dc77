use crate::host::Host;

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn settings_are_known_strict_and_kept() {
    let host = Host::new();
    for (words, out, err, status) in [
        (
            "sysctl net.inet.ip.forwarding",
            "net.inet.ip.forwarding: 0\n",
            "",
            0,
        ),
        ("sysctl -n net.inet.ip.forwarding", "0\n", "", 0),
        (
            "sysctl net.inet.ip.forwarding=1",
            "net.inet.ip.forwarding: 0 -> 1\n",
            "",
            0,
        ),
        (
            "sysctl net.inet.ip.forwarding",
            "net.inet.ip.forwarding: 1\n",
            "",
            0,
        ),
        (
            "sysctl -n nothing.at.all",
            "",
            "sysctl: unknown oid 'nothing.at.all'\n",
            1,
        ),
        ("sysctl -i nothing.at.all hw.ncpu", "hw.ncpu: 8\n", "", 0),
        ("sysctl -q nothing.at.all", "", "", 1),
        (
            "sysctl hw.ncpu=4",
            "",
            "sysctl: oid 'hw.ncpu' is read only\n",
            1,
        ),
        (
            "sysctl net.inet.ip.forwarding=yes",
            "",
            "sysctl: invalid integer 'yes'\n",
            1,
        ),
        (
            "sysctl hw.vmm.maxcpu=4",
            "",
            "sysctl: oid 'hw.vmm.maxcpu' is a read only tunable\nsysctl: Tunable values are set in /boot/loader.conf\n",
            1,
        ),
        ("sysctl -e kern.ostype", "kern.ostype=FreeBSD\n", "", 0),
    ] {
        let said = host.run(words);
        assert_eq!(
            (said.out.as_str(), said.err.as_str(), said.status),
            (out, err, status),
            "{words}"
        );
    }
    let mut cat = host.namespace.command("cat");
    let output = cat
        .arg("/proc/sys/net/ipv4/ip_forward")
        .output()
        .expect("cat(1) is there");
    assert_eq!(output.stdout, b"1\n");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn routes_are_real() {
    let host = Host::new();
    host.ok("ifconfig bridge create name lab-kube");
    host.ok("ifconfig lab-kube inet6 -ifdisabled");
    host.ok("ifconfig lab-kube inet 10.44.1.1/24 alias");
    host.ok("ifconfig lab-kube inet6 fd00:1::1/64 alias");
    for (words, out, err, status) in [
        (
            "route -n add -inet -net 10.44.158.0/24 10.44.1.30",
            "add net 10.44.158.0: gateway 10.44.1.30\n",
            "",
            0,
        ),
        (
            "route -n add -inet -net 10.44.158.0/24 10.44.1.30",
            "add net 10.44.158.0: gateway 10.44.1.30 fib 0: route already in table\n",
            "route: writing to routing socket: File exists\n",
            1,
        ),
        (
            "route -n add -inet6 -net fd00:130::/64 fd00:1::30",
            "add net fd00:130::: gateway fd00:1::30\n",
            "",
            0,
        ),
        (
            "route -n delete -inet6 -net fd00:130::/64 fd00:1::30",
            "delete net fd00:130::: gateway fd00:1::30\n",
            "",
            0,
        ),
        (
            "route -n delete -inet6 -net fd00:130::/64 fd00:1::30",
            "delete net fd00:130::: gateway fd00:1::30 fib 0: not in table\n",
            "route: writing to routing socket: No such process\n",
            1,
        ),
        (
            "route -n add -inet -net 10.9.0.0/24 10.99.0.1",
            "add net 10.9.0.0: gateway 10.99.0.1 fib 0: Network is unreachable\n",
            "route: writing to routing socket: Network is unreachable\n",
            1,
        ),
        (
            "route -n add -inet -net fd00::/64 10.44.1.30",
            "",
            "route: bad address: fd00::/64\n",
            68,
        ),
    ] {
        let said = host.run(words);
        assert_eq!(
            (said.out.as_str(), said.err.as_str(), said.status),
            (out, err, status),
            "{words}"
        );
    }
    assert!(
        host.ok("route -n get default")
            .contains("    gateway: 192.0.2.1\n        fib: 0\n  interface: em0\n")
    );
    assert!(
        host.ok("route -n get -inet6 default")
            .contains("    gateway: 2001:db8::1\n")
    );
    assert!(
        host.ok("route -n get 10.44.158.9")
            .contains("  interface: lab-kube\n")
    );
    host.namespace.ip("route delete default via 192.0.2.1");
    let said = host.run("route -n get default");
    assert_eq!(
        (said.err.as_str(), said.status),
        ("route: route has not been found\n", 1)
    );
    assert_eq!(
        host.ok("netstat -rn"),
        include_str!("../data/routes.netstat")
    );
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn rc_conf_is_read_and_written() {
    let host = Host::new();
    std::fs::write(host.etc("rc.conf"), "# mine\nhostname=\"bhyve-host\"\n").expect("a file");
    for (words, out) in [
        ("sysrc hostname", "hostname: bhyve-host\n"),
        ("sysrc -n hostname", "bhyve-host\n"),
        ("sysrc gateway_enable=YES", "gateway_enable:  -> YES\n"),
        ("sysrc kld_list+=vmm", "kld_list:  -> vmm\n"),
        ("sysrc kld_list+=nmdm", "kld_list: vmm -> vmm nmdm\n"),
        ("sysrc kld_list+=vmm", "kld_list: vmm nmdm -> vmm nmdm\n"),
        ("sysrc kld_list-=vmm", "kld_list: vmm nmdm -> nmdm\n"),
        ("sysrc -x hostname", ""),
        ("sysrc -i hostname", ""),
    ] {
        assert_eq!(host.ok(words), out, "{words}");
    }
    let said = host.run("sysrc hostname");
    assert_eq!(
        (said.err.as_str(), said.status),
        ("sysrc: unknown variable 'hostname'\n", 1)
    );
    let text = std::fs::read_to_string(host.etc("rc.conf")).expect("a file");
    assert_eq!(text, "# mine\ngateway_enable=\"YES\"\nkld_list=\"nmdm\"\n");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn a_boot_does_what_rc_conf_says() {
    let host = Host::new();
    host.ok("freebsd-host-net boot");
    assert_eq!(host.ok("sysctl -n net.inet.ip.forwarding"), "0\n");
    std::fs::write(host.etc("pf.conf"), "set skip on lo0\npass all\n").expect("a file");
    for variable in ["gateway_enable", "ipv6_gateway_enable", "pf_enable"] {
        host.ok(&format!("sysrc {variable}=YES"));
    }
    host.ok("freebsd-host-net boot");
    let forwarding = "sysctl -n net.inet.ip.forwarding net.inet6.ip6.forwarding";
    assert_eq!(host.ok(forwarding), "1\n1\n");
    assert!(host.ok("pfctl -s info").starts_with("Status: Enabled "));
    assert_eq!(
        host.ok("pfctl -s rules"),
        "pass all flags S/SA keep state\n"
    );
}

/// Names of a driver are unknown until it is there; to create an interface loads it.
#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn settings_come_with_their_module() {
    let host = Host::new();
    std::fs::write(host.world("modules"), "vmm\n").expect("a file");
    let name = "net.link.bridge.pfil_member";
    let said = host.run(&format!("sysctl {name}=0"));
    assert_eq!(
        (said.err, said.status),
        (format!("sysctl: unknown oid '{name}'\n"), 1)
    );
    assert_eq!(
        host.run("pfctl -s info").err,
        "pfctl: /dev/pf: No such file or directory\n"
    );
    host.ok("ifconfig bridge create name lab-etcd");
    assert_eq!(
        host.ok(&format!("sysctl {name}=0")),
        format!("{name}: 0 -> 0\n")
    );
    assert_eq!(host.ok("sysctl -n hw.vmm.maxcpu"), "8\n");
}
