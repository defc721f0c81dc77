// The yardstick of the bench `subnets`: Kubernetes' own allocator of node networks, which is one
// bitmap for one prefix length, with a cursor. `cd benches/go/cidrset && go run .`, one JSON line
// per case; the figure is the median over the rounds of the mean time per network.
package main

import (
	"encoding/json"
	"math/rand"
	"net"
	"os"
	"slices"
	"time"

	"k8s.io/kubernetes/pkg/controller/nodeipam/ipam/cidrset"
)

const (
	full   = 65_536 // As many /24 as a /8 holds, and as many /64 as a /48.
	rounds = 15
	// A full set is searched from end to end for each network.
	churns = 2_000
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

type poolCase struct {
	name, pool string
	prefixLen  int
}

func (c poolCase) empty() *cidrset.CidrSet {
	_, pool, err := net.ParseCIDR(c.pool)
	must(pool, err)
	return must(cidrset.NewCIDRSet(pool, c.prefixLen))
}

// fill allocates every network and returns them in order.
func fill(set *cidrset.CidrSet) []*net.IPNet {
	nets := make([]*net.IPNet, full)
	for i := range nets {
		nets[i] = must(set.AllocateNext())
	}
	return nets
}

func report(bench, name string, perNetwork []float64) {
	slices.Sort(perNetwork)
	line := map[string]any{"bench": bench, "case": name, "ns": perNetwork[len(perNetwork)/2]}
	must(0, json.NewEncoder(os.Stdout).Encode(line))
}

func nanoseconds(begin time.Time, networks int) float64 {
	return float64(time.Since(begin).Nanoseconds()) / float64(networks)
}

func main() {
	for _, c := range []poolCase{
		{"65,536 of /24 in a /8", "10.0.0.0/8", 24},
		{"65,536 of /64 in a /48", "fd5c:1:2::/48", 64},
	} {
		var fills, frees []float64
		for range rounds {
			set := c.empty()
			begin := time.Now()
			nets := fill(set)
			fills = append(fills, nanoseconds(begin, full))

			rand.New(rand.NewSource(1)).Shuffle(full, func(i, j int) { nets[i], nets[j] = nets[j], nets[i] })
			begin = time.Now()
			for _, freed := range nets[:churns] {
				must(0, set.Release(freed))
				must(set.AllocateNext())
			}
			frees = append(frees, nanoseconds(begin, churns))
		}
		report("fill", c.name, fills)
		report("free and allocate, pool full", c.name, frees)
	}
}
