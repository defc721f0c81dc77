"""Builds a planned lab out of network namespaces and tries every expected flow with packets.

Reads JSON from standard input: "plan"; "routes" of each machine; "rules" of the router, of each
class, and the router's names of "link" and "uplink"; "rows" to try. Prints each row that does not
behave as expected and ends with status 1 if there is one. Runs inside
`unshare --map-root-user --net --mount --pid --fork --mount-proc`, so nothing is left behind.
"""
import ipaddress
import json
import os
import subprocess
import sys

# In each namespace: answers on the ports, and tries what it is told.
AGENT = r"""
import asyncio, json, os, socket, struct, sys
TCP, UDP = (22, 53, 80, 2379, 2380, 6443, 10250, 20000), (53, 123, 20000)

async def hello(reader, writer):
    peer = writer.get_extra_info("peername")[0]
    writer.write(peer.encode())
    await writer.drain()
    writer.close()

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, peer):
        self.transport.sendto(peer[0].encode(), peer)

def family(target):
    return socket.AF_INET6 if ":" in target else socket.AF_INET

async def stream(loop, limit, source, target, port):
    with socket.socket(family(target), socket.SOCK_STREAM) as s:
        s.setblocking(False)
        s.bind((source, 0))
        await asyncio.wait_for(loop.sock_connect(s, (target, port)), limit)
        return (await asyncio.wait_for(loop.sock_recv(s, 99), limit)).decode()

async def datagram(loop, limit, source, target, port):
    with socket.socket(family(target), socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.bind((source, 0))
        s.connect((target, port))
        s.send(b"hello")
        return (await asyncio.wait_for(loop.sock_recv(s, 99), limit)).decode()

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

async def echo(loop, limit, source, target, number):
    v6 = ":" in target
    kind, answer = (128, 129) if v6 else (8, 0)
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family(target), socket.SOCK_RAW, protocol) as s:
        s.setblocking(False)
        s.bind((source, 0))
        head = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xffff, number)
        if not v6:
            head = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
        s.sendto(head, (target, 0))
        async def reply():
            while True:
                data = await loop.sock_recv(s, 999)
                data = data if v6 else data[(data[0] & 15) * 4:]
                if data[0] == answer and data[4:8] == head[4:8]:
                    return "answered"
        return await asyncio.wait_for(reply(), limit)

async def spoof(loop, limit, source, target, port):
    with socket.socket(family(target), socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.sendto(b"hello", (target, port))
        return "sent"

async def attempt(loop, number, row):
    how = {"tcp": stream, "udp": datagram, "echo": echo, "spoof": spoof}[row["protocol"]]
    port = number if row["protocol"] == "echo" else row["port"]
    try:
        said = await how(loop, row.get("limit", 1.2), row["source"], row["destination"], port)
        return "yes " + said.removeprefix("::ffff:")
    except (OSError, asyncio.TimeoutError) as error:
        return f"no {str(error) or 'silence'}"

async def main():
    loop = asyncio.get_running_loop()
    for port in TCP:
        s = socket.socket(socket.AF_INET6)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port))
        await asyncio.start_server(hello, sock=s, backlog=500)
    for port in UDP:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port))
        await loop.create_datagram_endpoint(Echo, sock=s)
    print("up", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        tries = [attempt(loop, number, row) for number, row in enumerate(json.loads(line))]
        print(json.dumps(await asyncio.gather(*tries)), flush=True)
    os._exit(0)

asyncio.run(main())
"""


def run(*command, ns=None, text=None):
    prefix = ["ip", "netns", "exec", ns] if ns else []
    done = subprocess.run([*prefix, *command], input=text, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} in {ns}: {done.stderr}\n{text or ''}")
    return done.stdout


def ip(ns, *lines):
    run("ip", *(["-n", ns] if ns else []), "-batch", "-", text="".join(f"{line}\n" for line in lines))


def namespace(name, forwards=False):
    ip(None, f"netns add {name}")
    settings = ["net.ipv4.conf.all.rp_filter=2", "net.ipv6.conf.default.accept_dad=0",
                f"net.ipv4.ip_forward={int(forwards)}",
                # Every refusal is heard.
                "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0",
                "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_msgs_burst=10000",
                f"net.ipv6.conf.all.forwarding={int(forwards)}"]
    if os.path.exists("/proc/sys/net/bridge"):
        # Frames inside one network must not meet the router's forward chain.
        settings += [f"net.bridge.bridge-nf-call-{t}tables=0" for t in ("ip", "ip6", "arp")]
    # Older kernels have some of these once for all namespaces.
    run("sysctl", "-eqw", *settings, ns=name)
    ip(name, "link set dev lo up")


def veth(ns, name, other_ns, other_name):
    ip(None, f"link add name {name} netns {ns} type veth peer name {other_name} netns {other_ns}")


def addresses(device, pair, nets):
    lines = [f"link set dev {device} up"]
    for family, address in pair.items():
        length = nets[family].split("/")[1]
        lines.append(f"addr add {address}/{length} dev {device}" + (" nodad" if family == "v6" else ""))
    return lines


def routes(entries):
    return [f"route replace {entry['to']} via {entry['via']}" for entry in entries]


def default_routes(pair):
    everything = {"v4": "0.0.0.0/0", "v6": "::/0"}
    return routes({"to": everything[family], "via": via} for family, via in pair.items())


def nth(nets, index):
    return {family: str(ipaddress.ip_network(net)[index]) for family, net in nets.items()}


def pod(node):
    return f"pod-on-{node}"


class Lab:
    def __init__(self, plan, machine_routes, rules):
        self.plan, self.rules, self.machine_routes = plan, rules, machine_routes
        self.networks = {network["name"]: network for network in plan["networks"]}
        self.machines = {machine["name"]: machine for machine in plan["machines"]}
        self.is_host = plan["router"] != "namespace"
        self.uplink = plan["router"]["host"]["uplink"] if self.is_host else rules["uplink"]
        # A host's own addresses are not planned.
        self.internet = plan["internet"] or {
            "nets": {"v4": "203.0.113.0/24", "v6": "2001:db8:ffff::/64"},
            "router": {"v4": "203.0.113.2", "v6": "2001:db8:ffff::2"},
            "internet": {"v4": "203.0.113.1", "v6": "2001:db8:ffff::1"},
            "server": {"v4": "198.51.100.1", "v6": "2001:db8:feed::1"},
        }

    def build(self):
        self.build_outside()
        for network in self.plan["networks"]:
            bridge = network["bridge"]
            ip("router", f"link add name {bridge} type bridge forward_delay 0 mcast_snooping 0",
               *addresses(bridge, network["gateway"], network["nets"]))
        for machine in self.plan["machines"]:
            self.build_machine(machine)
        for name, entries in self.machine_routes.items():
            ip(name, *routes(entries))
        ip("router", *routes(self.plan["router_routes"]), *default_routes(self.internet["internet"]))
        run("nft", "-f", "-", ns="router", text=self.rules["router"])

    def build_outside(self):
        namespace("router", forwards=True)
        namespace("internet")
        net, link = self.internet, self.plan["link"]
        veth("router", self.uplink, "internet", "eth0")
        ip("router", *addresses(self.uplink, net["router"], net["nets"]))
        # So that the internet's packets come to the router's rules, not just to no route.
        into = [{"to": to, "via": net["router"][f]} for f, to in self.plan["supernet"].items()]
        # Whoever gives the prefix or address outside sends it to the router.
        outside = self.outside() or self.one_address()
        into += [{"to": outside, "via": net["router"]["v6"]}] if outside and "v6" in net["router"] else []
        ip("internet", *addresses("eth0", net["internet"], net["nets"]),
           *addresses("lo", net["server"], {"v4": "/32", "v6": "/128"}),
           *routes(self.plan["internet_routes"]), *routes(into))
        if link:
            namespace("host")
            veth("router", self.rules["link"], "host", "lab")
            ip("router", *addresses(self.rules["link"], link["router"], link["nets"]))
            ip("host", *addresses("lab", link["host"], link["nets"]), *routes(self.plan["host_routes"]))
        if self.is_host:
            self.build_stranger()

    def build_stranger(self):
        """Something else on a host: a bridge of its own, and one behind it."""
        nets = {"v4": "172.29.0.0/24", "v6": "fd29::/64"}
        namespace("stranger")
        veth("router", "other0", "stranger", "eth0")
        ip("router", "link add name other type bridge forward_delay 0 mcast_snooping 0",
           *addresses("other", nth(nets, 1), nets), "link set dev other0 master other up")
        ip("stranger", *addresses("eth0", nth(nets, 2), nets), *default_routes(nth(nets, 1)))
        ip("internet", *routes({"to": net, "via": self.internet["router"][f]} for f, net in nets.items()))

    def build_machine(self, machine):
        name, pods = machine["name"], machine.get("pods")
        # At its worst: also what is no node forwards when it could.
        namespace(name, forwards=bool(pods) or len(machine["nics"]) > 1)
        ports, lines = [], []
        for nic in machine["nics"]:
            network = self.networks[nic["network"]]
            veth("router", nic["port"], name, nic["name"])
            ports.append(f"link set dev {nic['port']} master {network['bridge']} up")
            lines.append(f"link set dev {nic['name']} address {nic['mac']}")
            lines += addresses(nic["name"], nic["address"], network["nets"])
            if nic["default_route"]:
                lines += default_routes(network["gateway"])
        ip("router", *ports)
        ip(name, *lines)
        if pods:
            namespace(pod(name))
            veth(name, "cni0", pod(name), "eth0")
            ip(name, *addresses("cni0", nth(pods, 1), pods))
            ip(pod(name), *addresses("eth0", nth(pods, 2), pods), *default_routes(nth(pods, 1)))
        self.masquerade(machine)
        if machine["class"] in self.rules["classes"]:
            run("nft", "-f", "-", ns=name, text=self.rules["classes"][machine["class"]])

    def masquerade(self, machine):
        """As CNI plugins do, and the worst case for etcd: what is forwarded has the node's address."""
        kubernetes = self.plan["kubernetes"]
        nodes = kubernetes["network"] if kubernetes and machine.get("pods") else None
        for nic in machine["nics"]:
            if not nic["default_route"] and nic["network"] != nodes:
                run("nft", "-f", "-", ns=machine["name"],
                    text=f"table inet cni {{\nchain nat_{nic['name']} {{\n"
                    f"type nat hook postrouting priority srcnat;\noifname \"{nic['name']}\" masquerade\n}}\n}}\n")

    def outside(self):
        mode = self.plan["v6_mode"]
        return mode["npt"]["outside"] if isinstance(mode, dict) and "npt" in mode else None

    def seen_as(self, source):
        """The sender's address as the internet has to see it."""
        if ":" not in source:
            return self.internet["router"]["v4"]
        return self.one_address() or self.translated(source)

    def one_address(self):
        mode = self.plan["v6_mode"]
        return mode["nat66"]["address"] if isinstance(mode, dict) and "nat66" in mode else None

    def translated(self, inside):
        """The same host under the prefix that it has outside."""
        if not self.outside():
            return inside
        net = ipaddress.ip_network(self.outside())
        host = int(ipaddress.ip_address(inside)) & int(net.hostmask)
        return str(net[host])

    def detour(self, row):
        """The machine whose route has to be bent for a row, and how."""
        sender = self.machines[row["from"].removeprefix("pod-on-")]
        router = {nic["network"]: nic["address"] for nic in self.machines[row["via"]]["nics"]}
        shared = [nic for nic in sender["nics"] if nic["network"] in router]
        nic = max(shared, key=lambda nic: nic["default_route"])
        address = ipaddress.ip_address(row["destination"])
        family = f"v{address.version}"
        to = next(net["nets"][family] for net in self.plan["networks"]
                  if family in net["nets"] and address in ipaddress.ip_network(net["nets"][family]))
        return sender["name"], to, router[nic["network"]][family]


class Agents:
    def __init__(self):
        names = [line.split()[0] for line in run("ip", "netns", "list").splitlines()]
        self.agents = {name: subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", AGENT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in names}
        for agent in self.agents.values():
            if agent.stdout.readline() != "up\n":
                sys.exit("an agent did not start")

    def attempt(self, rows):
        by_sender = {}
        for row in rows:
            by_sender.setdefault(row["from"], []).append(row)
        for sender, own in by_sender.items():
            self.agents[sender].stdin.write(json.dumps(own) + "\n")
            self.agents[sender].stdin.flush()
        return [pair for sender, own in by_sender.items()
                for pair in zip(own, json.loads(self.agents[sender].stdout.readline()))]

    def close(self):
        for agent in self.agents.values():
            agent.stdin.close()
            agent.wait()


def spoofed(lab, agents):
    """Each network gets packets with an address from elsewhere, to the internet and to the router's own address
    there, and the router's rules count them."""
    rows, senders = [], {}
    for machine in lab.machines.values():
        nic = next(nic for nic in machine["nics"] if nic["default_route"])
        for family in nic["address"]:
            senders.setdefault((nic["network"], family), (machine["name"], nic["name"]))
    for (network, family), (name, device) in senders.items():
        foreign = {"v4": "198.18.0.1", "v6": "2001:db8:bad::1"}[family]
        forgeries = [(f"spoof-{network}", foreign, lab.internet["server"][family])]
        for other in lab.networks.values():
            if other["name"] != network and family in other["nets"]:
                source = str(ipaddress.ip_network(other["nets"][family])[-3])
                forgeries.append((f"forged-{other['name']}", source, lab.networks[network]["gateway"][family]))
        for rule, source, destination in forgeries:
            ip(name, f"addr add {source} dev {device}" + (" nodad" if family == "v6" else ""))
            rows.append({"from": name, "source": source, "destination": destination, "port": 53,
                         "protocol": "spoof", "rule": rule})
    wrong = [f"spoof from {row['from']}: {said}" for row, said in agents.attempt(rows) if not said.startswith("yes")]
    listed = json.loads(run("nft", "-j", "list", "table", *lab.rules["table"].split(), ns="router"))
    rules = [entry["rule"] for entry in listed["nftables"] if "rule" in entry]
    for name in sorted({row["rule"] for row in rows}):
        own = [rule for rule in rules if rule.get("comment") == name]
        counted = sum(part["counter"]["packets"] for rule in own for part in rule["expr"] if "counter" in part)
        sent = sum(1 for row in rows if row["rule"] == name)
        # Pods that leave over a network that is not the nodes' are counted too, and so is discovery.
        wrong += [f"{name} counts {counted} of {sent}"] if counted < sent else []
    return wrong


def complaint(lab, row, said):
    way = f"{row['from']} -> {row['to']} {row['protocol']} [{row['destination']}]:{row['port']}"
    if said.startswith("yes") != row["allowed"]:
        return f"{way} via {row['via']}: {said}, expected {row['why']}"
    if row["protocol"] != "echo" and not row["allowed"] and row.get("refused") == said.endswith("silence"):
        return f"{way} via {row['via']}: {said}, expected {row['why']}"
    seen = said.partition(" ")[2]
    expected = row.get("seen_as")
    if row["to"] == "internet" and not expected:
        expected = lab.seen_as(row["source"])
    if row["allowed"] and row["protocol"] == "tcp" and expected and seen != expected:
        return f"{way}: seen as {seen}, expected {expected}"
    return None


def tried(lab, agents, rows):
    """Where silence is not what is expected it is tried again with more time: on a busy machine answers are late."""
    results = agents.attempt(rows)
    late = [said.endswith("silence") and bool(complaint(lab, row, said)) for row, said in results]
    again = [{**row, "limit": 10} for (row, _), is_late in zip(results, late) if is_late]
    return [pair for pair, is_late in zip(results, late) if not is_late] + agents.attempt(again)


def main():
    given = json.load(sys.stdin)
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    lab = Lab(given["plan"], given["routes"], given["rules"])
    lab.build()
    agents = Agents()
    rows = given["rows"]
    for row in rows:
        if row.get("translate"):
            row["destination"] = lab.translated(row["destination"])
    results = tried(lab, agents, [row for row in rows if not row["via"]])
    for via in sorted({row["via"] for row in rows if row["via"]}):
        own = [row for row in rows if row["via"] == via]
        bends = {lab.detour(row) for row in own}
        for machine, to, gateway in bends:
            ip(machine, f"route add {to} via {gateway}")
        results += tried(lab, agents, own)
        for machine, to, gateway in bends:
            ip(machine, f"route del {to} via {gateway}")
    wrong = spoofed(lab, agents)
    agents.close()
    wrong += [line for line in (complaint(lab, row, said) for row, said in results) if line]
    print("\n".join([*wrong, f"{len(results)} tried"]))
    sys.exit(1 if wrong else 0)


main()
