// Verifies every leaf of a list with Go's crypto/x509, as etcd and Kubernetes do: for each usage
// that it has and for none that it lacks, for each name, and with its key in a TLS pair.
// Arguments: the moment in Unix seconds, the list (see `task` in tests/it/real.rs).
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return value
}

func main() {
	moment := time.Unix(must(strconv.ParseInt(os.Args[1], 10, 64)), 0)
	lines := strings.Split(strings.TrimSuffix(string(must(os.ReadFile(os.Args[2]))), "\n"), "\n")
	for _, line := range lines {
		f := strings.Split(line, "\t")
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(must(os.ReadFile(f[0])))
		pair := must(tls.LoadX509KeyPair(f[1], f[2]))
		leaf := must(x509.ParseCertificate(pair.Certificate[0]))
		check := func(name string, usage x509.ExtKeyUsage, want bool) {
			usages := []x509.ExtKeyUsage{usage}
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: moment, KeyUsages: usages})
			if (err == nil) != want {
				must(0, fmt.Errorf("%s, name %q, usage %d, wanted %t: %v", f[1], name, usage, want, err))
			}
		}
		check("", x509.ExtKeyUsageServerAuth, f[3] == "true")
		check("", x509.ExtKeyUsageClientAuth, f[4] == "true")
		if f[5] != "" {
			for _, name := range strings.Split(f[5], ",") {
				check(name, x509.ExtKeyUsageServerAuth, true)
			}
			check("other.invalid", x509.ExtKeyUsageServerAuth, false)
		}
	}
	fmt.Printf("%d leaves\n", len(lines))
}
