"""Builds a planned lab out of network namespaces and tries every expected flow with TCP.

Reads {"plan", "expectations", "rules"} as JSON from standard input; prints each flow that does not
behave as expected and ends with status 1 if there is one. Runs inside
`unshare --map-root-user --net --mount --pid --fork --mount-proc`, so nothing is left behind.
"""
import ipaddress
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

LISTEN = """
import select, socket, sys
socks = []
for port in (22, 80, 2379, 2380, 6443):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(50)
    socks.append(s)
print("up", flush=True)
while True:
    for s in select.select(socks, [], [])[0]:
        peer, address = s.accept()
        peer.sendall(address[0].encode())
        peer.close()
"""
CONNECT = """
import socket, sys
source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET)
s.settimeout(1.2)
s.bind((source, 0))
try:
    s.connect((target, port))
    print("yes", s.recv(99).decode())
except OSError as error:
    print("no", error)
"""


def run(*command, ns=None, text=None):
    prefix = ["ip", "netns", "exec", ns] if ns else []
    done = subprocess.run([*prefix, *command], input=text, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} in {ns}: {done.stderr}")
    return done.stdout


def namespace(name, forwards=False):
    run("ip", "netns", "add", name)
    run("ip", "link", "set", "dev", "lo", "up", ns=name)
    if forwards:
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", ns=name)


def veth(ns, name, other_ns, other_name):
    run("ip", "link", "add", "name", name, "netns", ns, "type", "veth",
        "peer", "name", other_name, "netns", other_ns)


def address(ns, device, pair, nets):
    for family in ("v4", "v6"):
        length = nets[family].split("/")[1]
        nodad = ["nodad"] if family == "v6" else []
        run("ip", "addr", "add", f"{pair[family]}/{length}", "dev", device, *nodad, ns=ns)
    run("ip", "link", "set", "dev", device, "up", ns=ns)


def routes(ns, entries):
    for entry in entries:
        run("ip", "route", "add", entry["to"], "via", entry["via"], ns=ns)


def default_routes(ns, pair):
    routes(ns, [{"to": "0.0.0.0/0", "via": pair["v4"]}, {"to": "::/0", "via": pair["v6"]}])


def nth(nets, index):
    return {family: str(ipaddress.ip_network(net)[index]) for family, net in nets.items()}


def build_router(plan, rules):
    for name in ("host", "internet"):
        namespace(name)
    namespace("router", forwards=True)
    if os.path.exists("/proc/sys/net/bridge"):
        # Frames inside one network must not meet the router's forward chain.
        run("sysctl", "-qw", *[f"net.bridge.bridge-nf-call-{t}tables=0" for t in ("ip", "ip6", "arp")],
            ns="router")
    for network in plan["networks"]:
        run("ip", "link", "add", "name", network["bridge"], "type", "bridge",
            "forward_delay", "0", "mcast_snooping", "0", ns="router")
        address("router", network["bridge"], network["gateway"], network["nets"])
    link, net = plan["link"], plan["internet"]
    veth("router", rules["link"], "host", "lab")
    address("router", rules["link"], link["router"], link["nets"])
    address("host", "lab", link["host"], link["nets"])
    veth("router", rules["uplink"], "internet", "eth0")
    address("router", rules["uplink"], net["router"], net["nets"])
    address("internet", "eth0", net["internet"], net["nets"])
    address("internet", "lo", net["server"], {"v4": "/32", "v6": "/128"})


def build_machine(machine, networks, rules):
    name = machine["name"]
    namespace(name, forwards=machine["pods"] is not None)
    for nic in machine["nics"]:
        network = networks[nic["network"]]
        veth("router", nic["port"], name, nic["name"])
        run("ip", "link", "set", "dev", nic["name"], "address", nic["mac"], ns=name)
        run("ip", "link", "set", "dev", nic["port"], "master", network["bridge"], "up", ns="router")
        address(name, nic["name"], nic["address"], network["nets"])
        if nic["default_route"]:
            default_routes(name, network["gateway"])
    if machine["pods"]:
        pod = f"pod on {name}"
        namespace(pod)
        veth(name, "cni0", pod, "eth0")
        address(name, "cni0", nth(machine["pods"], 1), machine["pods"])
        address(pod, "eth0", nth(machine["pods"], 2), machine["pods"])
        default_routes(pod, nth(machine["pods"], 1))
        # As CNI plugins do, and the worst case for etcd: what a node forwards has its address.
        run("nft", "-f", "-", ns=name, text="table inet cni {\nchain nat {\n"
            "type nat hook postrouting priority srcnat;\noifname \"etcd0\" masquerade\n}\n}\n")
    if machine["class"] in rules:
        run("nft", "-f", "-", ns=name, text=rules[machine["class"]])


def build(plan, rules):
    build_router(plan, rules)
    networks = {network["name"]: network for network in plan["networks"]}
    for machine in plan["machines"]:
        build_machine(machine, networks, rules)
    for machine in plan["machines"]:
        routes(machine["name"], machine["routes"])
    routes("router", plan["router_routes"])
    routes("internet", plan["internet_routes"])
    routes("host", plan["host_routes"])
    # So that the internet's IPv4 packets come to the router's rules, not just to no route.
    routes("internet", [{"to": plan["supernet"]["v4"], "via": plan["internet"]["router"]["v4"]}])
    run("nft", "-f", "-", ns="router", text=rules["router"])


def listen(ns):
    process = subprocess.Popen(["ip", "netns", "exec", ns, sys.executable, "-c", LISTEN],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def endpoint(value):
    if isinstance(value, str):
        return value
    (kind, name), = value.items()
    return name if kind == "machine" else f"pod on {name}"


def attempt(expectation):
    probe = expectation["probe"]
    said = run(sys.executable, "-c", CONNECT, probe["source"], probe["destination"],
               str(probe["port"]), ns=endpoint(probe["from"]))
    if said.startswith("yes") == expectation["allowed"]:
        return None
    way = f"{endpoint(probe['from'])} -> {endpoint(probe['to'])} {probe['destination']}:{probe['port']}"
    return f"{way} via {probe['via']}: {said.strip()}, expected {expectation['why']}"


def main():
    given = json.load(sys.stdin)
    plan, rules, expectations = given["plan"], given["rules"], given["expectations"]
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    build(plan, rules)
    servers = [listen(ns) for ns in ["router", "internet"] + [m["name"] for m in plan["machines"]]]
    wrong = []
    with ThreadPoolExecutor(24) as pool:
        wrong += pool.map(attempt, [e for e in expectations if not e["probe"]["via"]])
    through = [e for e in expectations if e["probe"]["via"]]
    machines = {machine["name"]: machine for machine in plan["machines"]}
    etcd = next(network for network in plan["networks"] if network["name"] == "etcd")
    for router, sender in {(e["probe"]["via"], next(iter(e["probe"]["from"].values()))) for e in through}:
        kube = next(nic for nic in machines[router]["nics"] if nic["network"] == "kube")
        routes(sender, [{"to": etcd["nets"][f], "via": kube["address"][f]} for f in ("v4", "v6")])
    with ThreadPoolExecutor(24) as pool:
        wrong += pool.map(attempt, through)
    for server in servers:
        server.kill()
    wrong = [line for line in wrong if line]
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
