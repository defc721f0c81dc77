// Verifies each line of a list with Go's crypto/x509, as etcd and Kubernetes do, and prints yes or no.
// A line: trusted certificates, certificates that the peer sends, its leaf (files of PEM), the name or address
// that is asked for, or nothing for a client. Arguments: the moment in Unix seconds, the list.
package main

import (
	"crypto/x509"
	"encoding/pem"
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

func pool(file string) *x509.CertPool {
	certificates := x509.NewCertPool()
	certificates.AppendCertsFromPEM(must(os.ReadFile(file)))
	return certificates
}

func accepted(moment time.Time, roots, sent, leaf, name string) bool {
	block, _ := pem.Decode(must(os.ReadFile(leaf)))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false
	}
	usage := x509.ExtKeyUsageServerAuth
	if name == "" {
		usage = x509.ExtKeyUsageClientAuth
	}
	_, err = certificate.Verify(x509.VerifyOptions{
		Roots: pool(roots), Intermediates: pool(sent), DNSName: name, CurrentTime: moment,
		KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err == nil
}

func main() {
	moment := time.Unix(must(strconv.ParseInt(os.Args[1], 10, 64)), 0)
	for _, line := range strings.Split(strings.TrimSuffix(string(must(os.ReadFile(os.Args[2]))), "\n"), "\n") {
		f := strings.Split(line, "\t")
		if accepted(moment, f[0], f[1], f[2], f[3]) {
			fmt.Println("yes")
		} else {
			fmt.Println("no")
		}
	}
}
