package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	exchangeTimeout = 10 * time.Second
	stillOpenWait   = 200 * time.Millisecond
)

var groups = map[string]tls.CurveID{"X25519": tls.X25519, "P-256": tls.CurveP256, "X25519MLKEM768": tls.X25519MLKEM768}

type tlsFlags struct {
	set                                     *flag.FlagSet
	address, certificate, key, trust, group *string
	alpn, serverID                          *string
}

func newTLSFlags(name string) tlsFlags {
	set := flag.NewFlagSet(name, flag.ExitOnError)
	return tlsFlags{
		set:         set,
		address:     set.String("address", "", "host:port"),
		certificate: set.String("certificate", "", "PEM file"),
		key:         set.String("key", "", "PEM file"),
		trust:       set.String("trust", "", "PEM file"),
		group:       set.String("group", "X25519", "the only key exchange group"),
		alpn:        set.String("alpn", "", "protocol"),
		serverID:    set.String("server-id", "", "SPIFFE ID of the server"),
	}
}

// config never resumes: each handshake is a full one.
func (f tlsFlags) config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(*f.certificate, *f.key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(*f.trust)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", *f.trust)
	}
	group, known := groups[*f.group]
	if !known {
		return nil, fmt.Errorf("unknown group %q", *f.group)
	}
	return &tls.Config{
		Certificates:     []tls.Certificate{pair},
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{group},
		NextProtos:       []string{*f.alpn},
		// A SPIFFE certificate has no host name: chain and URI are checked below.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
				return err
			}
			if len(leaf.URIs) != 1 || leaf.URIs[0].String() != *f.serverID {
				return fmt.Errorf("the server is %v", leaf.URIs)
			}
			if state.CurveID != group {
				return fmt.Errorf("the group is %v", state.CurveID)
			}
			return nil
		},
	}, nil
}

// once makes a connection and one request on it.
func once(address string, config *tls.Config) (net.Conn, error) {
	dialer := net.Dialer{Timeout: exchangeTimeout}
	plain, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	connection := tls.Client(plain, config)
	connection.SetDeadline(time.Now().Add(exchangeTimeout))
	if err := ask(connection, address); err != nil {
		connection.Close()
		return nil, err
	}
	connection.SetDeadline(time.Time{})
	return connection, nil
}

func ask(connection net.Conn, host string) error {
	if _, err := fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func handshakes(args []string) (any, error) {
	flags := newTLSFlags("handshakes")
	workers := flags.set.Int("workers", 8, "connections at once")
	seconds := flags.set.Float64("seconds", 3, "how long")
	flags.set.Parse(args)
	config, err := flags.config()
	if err != nil {
		return nil, err
	}
	var made atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	started := time.Now()
	until := started.Add(time.Duration(*seconds * float64(time.Second)))
	for range *workers {
		group.Go(func() {
			for time.Now().Before(until) && failed.Load() == nil {
				connection, err := once(*flags.address, config)
				if err != nil {
					failed.Store(&err)
					return
				}
				connection.Close()
				made.Add(1)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return map[string]any{"connections": made.Load(), "seconds": time.Since(started).Seconds()}, nil
}

// hold opens connections, says so on standard output, and keeps them until standard input ends.
func hold(args []string) (any, error) {
	flags := newTLSFlags("hold")
	count := flags.set.Int("connections", 500, "connections")
	flags.set.Parse(args)
	config, err := flags.config()
	if err != nil {
		return nil, err
	}
	held := make([]net.Conn, 0, *count)
	for range *count {
		connection, err := once(*flags.address, config)
		if err != nil {
			return nil, err
		}
		held = append(held, connection)
	}
	fmt.Println("holding")
	io.Copy(io.Discard, os.Stdin)
	// What the other side has closed meanwhile was not idle memory. No answer within the deadline is the good case.
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	until := time.Now().Add(stillOpenWait)
	for _, connection := range held {
		group.Go(func() {
			connection.SetReadDeadline(until)
			if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				failed.Store(&err)
			}
			connection.Close()
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return nil, fmt.Errorf("a connection was not kept: %v", *err)
	}
	return map[string]any{"connections": len(held)}, nil
}
