// A workload that gets its identity from the SPIFFE Workload API with go-spiffe, as programs do that know nothing of Weft.
// Each line of its output is a JSON object.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func say(fields map[string]any) {
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

type watcher struct {
	left int
	done context.CancelFunc
}

func (w *watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svid := update.DefaultSVID()
	leaf := svid.Certificates[0]
	domains := []string{}
	anchors := 0
	for _, bundle := range update.Bundles.Bundles() {
		domains = append(domains, bundle.TrustDomain().Name())
		anchors += len(bundle.X509Authorities())
	}
	roots := x509.NewCertPool()
	if own, err := update.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain()); err == nil {
		for _, anchor := range own.X509Authorities() {
			roots.AddCert(anchor)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	say(map[string]any{"svid": svid.ID.String(), "serial": leaf.SerialNumber.Text(16), "key": fmt.Sprintf("%T", svid.PrivateKey),
		"domains": domains, "anchors": anchors, "verified": err == nil})
	w.left--
	if w.left == 0 {
		w.done()
	}
}

func (w *watcher) OnX509ContextWatchError(err error) {
	say(map[string]any{"watchError": err.Error()})
}

// watch prints so many X.509 contexts as the stream brings them.
func watch(ctx context.Context, count int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := workloadapi.WatchX509Context(ctx, &watcher{left: count, done: cancel})
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return nil
	}
	return err
}

// jwt gets a token, validates it with the bundle and asks the Workload API to validate it, too.
func jwt(ctx context.Context, audience string) error {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	parsed, err := jwtsvid.ParseAndValidate(svid.Marshal(), source, []string{audience})
	if err != nil {
		return err
	}
	asked, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), audience)
	if err != nil {
		return err
	}
	_, foreign := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "somebody-else")
	say(map[string]any{"jwt": parsed.ID.String(), "asked": asked.ID.String(), "audience": parsed.Audience,
		"lifeSeconds": int(time.Until(parsed.Expiry).Seconds()), "refusedElsewhere": foreign != nil})
	return nil
}

// serve answers one line to each peer of a SPIFFE ID.
func serve(ctx context.Context, address string, peer spiffeid.ID) error {
	listener, err := spiffetls.Listen(ctx, "tcp", address, tlsconfig.AuthorizeID(peer))
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	say(map[string]any{"listening": listener.Addr().String()})
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		go func() {
			defer conn.Close()
			if id, err := spiffetls.PeerIDFromConn(conn); err == nil {
				fmt.Fprintf(conn, "hello %s\n", id)
			} else if tlsConn, ok := conn.(*tls.Conn); ok {
				say(map[string]any{"refused": tlsConn.Handshake().Error()})
			}
		}()
	}
}

func dial(ctx context.Context, address string, peer spiffeid.ID) error {
	conn, err := spiffetls.Dial(ctx, "tcp", address, tlsconfig.AuthorizeID(peer))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	id, err := spiffetls.PeerIDFromConn(conn)
	if err != nil {
		return err
	}
	say(map[string]any{"answer": string(answer), "peer": id.String()})
	return nil
}

// request speaks one HTTP request over mTLS with an ALPN to whoever has the identity of a peer.
func request(ctx context.Context, address, alpn string, peer spiffeid.ID) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	config := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(peer))
	config.NextProtos = []string{alpn}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nhost: peer\r\nconnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	state := conn.ConnectionState()
	say(map[string]any{"answer": string(answer), "alpn": state.NegotiatedProtocol, "version": tls.VersionName(state.Version), "group": state.CurveID.String()})
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	args := append(os.Args[1:], "", "", "", "")
	var err error
	switch args[0] {
	case "watch":
		count, _ := strconv.Atoi(args[1])
		err = watch(ctx, count)
	case "jwt":
		err = jwt(ctx, args[1])
	case "serve":
		err = serve(ctx, args[1], spiffeid.RequireFromString(args[2]))
	case "dial":
		err = dial(ctx, args[1], spiffeid.RequireFromString(args[2]))
	case "request":
		err = request(ctx, args[1], args[2], spiffeid.RequireFromString(args[3]))
	default:
		err = fmt.Errorf("no such mode: %q", args[0])
	}
	if err != nil {
		say(map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}
