// Command web is a small server for a first Deployment, and a client to try a network from inside a pod.
//
//	web                      serve HTTP on :8080, both families
//	web get URL              print the body of URL; status 1 unless it is 2xx
//	web lookup NAME [SERVER] print the addresses of NAME, asked of the resolver or of SERVER
//	web tcp HOST:PORT        connect, print who is connected with whom
//	web sleep [DURATION]     wait, for a pod that only has to be there; ends at once on SIGTERM
//
// Each client command takes -timeout (default 5s) first: web get -timeout 2s http://web.default.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"sort"
	"strings"
	"syscall"
	"time"
)

// defaultTimeout is longer than a lost SYN and its first retries take (1 s, 3 s).
const defaultTimeout = 5 * time.Second

// longestDrain keeps a pod from outliving its grace period of 30 s.
const longestDrain = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	timeout := flags.Duration("timeout", defaultTimeout, "longest time for the whole command")
	address := flags.String("listen", ":8080", "address of the server")
	files := flags.String("files", "/srv", "directory served below /files/")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	limited, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	switch {
	case command == "serve" && len(args) == 0:
		return serve(ctx, *address, *files, out)
	case command == "get" && len(args) == 1:
		return get(limited, args[0], out)
	case command == "lookup" && (len(args) == 1 || len(args) == 2):
		return lookup(limited, args[0], append(args, "")[1], out)
	case command == "tcp" && len(args) == 1:
		return connect(limited, args[0], out)
	case command == "sleep" && len(args) <= 1:
		return sleep(ctx, args)
	}
	return errors.New("use: web [serve] | get URL | lookup NAME [SERVER] | tcp HOST:PORT | sleep [DURATION]")
}

// answer is what the server says about itself and its client.
type answer struct {
	Pod       string   `json:"pod"`
	Addresses []string `json:"addresses"`
	Client    string   `json:"client"`
	Host      string   `json:"host"`
	Path      string   `json:"path"`
}

func serve(ctx context.Context, address, files string, out io.Writer) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		said := answer{name, addresses(), r.RemoteAddr, r.Host, path.Clean(r.URL.Path)}
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(said)
			return
		}
		fmt.Fprintf(w, "pod %s\naddresses %s\nclient %s\nhost %s\npath %s\n",
			said.Pod, strings.Join(said.Addresses, " "), said.Client, said.Host, said.Path)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(files))))

	listener, err := net.Listen("tcp", address) // An address without a host listens on both families.
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: defaultTimeout}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.Background(), longestDrain)
		defer cancel()
		drained <- server.Shutdown(limited)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// addresses are those of this pod, without loopback and link-local ones.
func addresses() []string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var found []string
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			found = append(found, n.IP.String())
		}
	}
	sort.Strings(found)
	return found
}

func get(ctx context.Context, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(out, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	return nil
}

func lookup(ctx context.Context, name, server string, out io.Writer) error {
	resolver := &net.Resolver{PreferGo: true}
	if server != "" {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	found, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	sort.Strings(found)
	fmt.Fprintln(out, strings.Join(found, "\n"))
	return nil
}

func connect(ctx context.Context, address string, out io.Writer) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	fmt.Fprintf(out, "%s -> %s\n", connection.LocalAddr(), connection.RemoteAddr())
	return nil
}

func sleep(ctx context.Context, args []string) error {
	if len(args) == 0 {
		<-ctx.Done()
		return nil
	}
	length, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
	return nil
}
