// The yardstick of the bench `certificates`: the same leaves by Go's crypto/x509, on which cfssl,
// step, kubeadm and mkcert stand. Standard library only: `go run benches/go/leaf.go`.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const rounds, roundTime = 15, 200 * time.Millisecond

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dual  = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func serial() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))) }

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	roots       *x509.CertPool
}

func newAuthority() authority {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "etcd-ca"},
		NotBefore: start, NotAfter: start.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	certificate := must(x509.ParseCertificate(der))
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return authority{certificate, key, roots}
}

// issue makes a leaf with a fresh key and both PEM texts.
func (a authority) issue(names []string, ips []net.IP) []byte {
	return a.issueFor(newKey(), names, ips)
}

func (a authority) issueFor(key *ecdsa.PrivateKey, names []string, ips []net.IP) []byte {
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "etcd-0"},
		NotBefore: start, NotAfter: start.AddDate(1, 0, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: dual, DNSNames: names, IPAddresses: ips,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key))
	pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
	return der
}

// check reads the leaf back and verifies it for each usage and each name, as package pki does.
func (a authority) check(der []byte) {
	leaf := must(x509.ParseCertificate(der))
	for _, usage := range leaf.ExtKeyUsage {
		must(leaf.Verify(x509.VerifyOptions{
			Roots: a.roots, CurrentTime: start.Add(time.Minute), KeyUsages: []x509.ExtKeyUsage{usage}}))
	}
	for _, name := range leaf.DNSNames {
		must(0, leaf.VerifyHostname(name))
	}
	for _, ip := range leaf.IPAddresses {
		must(0, leaf.VerifyHostname(ip.String()))
	}
}

// median of the mean times per call of each round.
func median(work func()) time.Duration {
	var times []time.Duration
	for range rounds {
		begin, calls := time.Now(), 0
		for time.Since(begin) < roundTime {
			work()
			calls++
		}
		times = append(times, time.Since(begin)/time.Duration(calls))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func main() {
	a := newAuthority()
	ips := []net.IP{net.ParseIP("10.0.0.2"), net.ParseIP("fd5c::2"), net.ParseIP("127.0.0.1"), net.IPv6loopback}
	for _, leaf := range []struct {
		text  string
		names []string
		ips   []net.IP
	}{{"2 names", []string{"etcd-0"}, ips[:1]}, {"6 names", []string{"etcd-0", "localhost"}, ips}} {
		plain := median(func() { a.issue(leaf.names, leaf.ips) })
		full := median(func() { a.check(a.issue(leaf.names, leaf.ips)) })
		fmt.Printf("leaf, %s, unchecked:   %6d ns\n", leaf.text, plain.Nanoseconds())
		fmt.Printf("leaf, %s, every check: %6d ns\n", leaf.text, full.Nanoseconds())
	}
	key := newKey()
	reuse := func() []byte { return a.issueFor(key, []string{"etcd-0"}, ips[:1]) }
	fmt.Printf("leaf, 2 names, reused key, unchecked:   %6d ns\n", median(func() { reuse() }).Nanoseconds())
	fmt.Printf("leaf, 2 names, reused key, every check: %6d ns\n", median(func() { a.check(reuse()) }).Nanoseconds())
}
