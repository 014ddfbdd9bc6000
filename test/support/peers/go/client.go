package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	caseTimeout       = 20 * time.Second
	concurrentStreams = 1000
)

type client struct {
	connection *grpc.ClientConn
}

// cases are what `peers call` can be asked for.
var cases = map[string]func(*client) error{
	"unary":             (*client).unary,
	"metadata":          (*client).metadata,
	"client-stream":     (*client).clientStream,
	"server-stream":     (*client).serverStream,
	"bidi":              (*client).bidi,
	"status-details":    (*client).statusDetails,
	"deadline":          (*client).deadline,
	"deadline-passed":   (*client).deadlinePassed,
	"cancel":            (*client).cancel,
	"large":             (*client).large,
	"thousand-streams":  (*client).thousandStreams,
	"idle-stream":       (*client).idleStream,
	"goaway":            (*client).goaway,
	"own-error":         (*client).ownError,
	"broken-stream":     (*client).brokenStream,
	"unknown-method":    (*client).unknownMethod,
	"slow-reader":       (*client).slowReader,
	"server-goes-first": (*client).serverGoesFirst,
}

func newClient(address string) (*client, error) {
	connection, err := grpc.NewClient(
		"passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// What fails through the sidecars has to be seen, not repeated.
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
	)
	if err != nil {
		return nil, err
	}
	return &client{connection}, nil
}

func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), caseTimeout)
}

func (c *client) echo(ctx context.Context, value []byte, options ...grpc.CallOption) ([]byte, error) {
	out := new(bytesValue)
	err := c.connection.Invoke(ctx, "/weft.test.Echo/Unary", wrapperspb.Bytes(value), out, options...)
	return out.Value, err
}

func (c *client) open(ctx context.Context, method string) (grpc.ClientStream, error) {
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	return c.connection.NewStream(ctx, description, "/weft.test.Echo/"+method)
}

func (c *client) unary() error {
	ctx, stop := bounded()
	defer stop()
	for i := range 100 {
		want := []byte(strconv.Itoa(i))
		if got, err := c.echo(ctx, want); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("call %d: %q, %v", i, got, err)
		}
	}
	return nil
}

func (c *client) metadata() error {
	ctx, stop := bounded()
	defer stop()
	binary := string([]byte{0, 1, 2, 0xff, 0xfe, ',', '\n'})
	ctx = metadata.AppendToOutgoingContext(ctx, "x-bin", "text for -bin", "x-text", "one", "x-text", "two, three")
	ctx = metadata.AppendToOutgoingContext(ctx, "other-bin", binary)
	var header, trailer metadata.MD
	if _, err := c.echo(ctx, nil, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	if got := first(header, "echo-bin"); got != "text for -bin" {
		return fmt.Errorf("echo-bin is %q", got)
	}
	if got := trailer.Get("echo-text"); !reflect.DeepEqual(got, []string{"one", "two, three"}) {
		return fmt.Errorf("echo-text is %q", got)
	}
	return nil
}

func (c *client) clientStream() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.open(ctx, "ClientStream")
	if err != nil {
		return err
	}
	for range 500 {
		if err := stream.SendMsg(wrapperspb.Bytes(make([]byte, 1000))); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	out := new(bytesValue)
	if err := stream.RecvMsg(out); err != nil {
		return err
	}
	if string(out.Value) != "500 500000" {
		return fmt.Errorf("the server got %s", out.Value)
	}
	return ended(stream)
}

// ended says that a call is over, and with OK.
func ended(stream grpc.ClientStream) error {
	if err := stream.RecvMsg(new(bytesValue)); err != io.EOF {
		return fmt.Errorf("instead of the end: %v", err)
	}
	return nil
}

func (c *client) ask(ctx context.Context, count int, size int) (grpc.ClientStream, error) {
	stream, err := c.open(ctx, "ServerStream")
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(wrapperspb.Bytes([]byte(fmt.Sprintf("%d %d", count, size)))); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}

func (c *client) serverStream() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.ask(ctx, 500, 1000)
	if err != nil {
		return err
	}
	for i := range 500 {
		out := new(bytesValue)
		if err := stream.RecvMsg(out); err != nil || len(out.Value) != 1000 {
			return fmt.Errorf("message %d: %d bytes, %v", i, len(out.Value), err)
		}
	}
	return ended(stream)
}

// slowReader takes 8 MB in its own time; the server is far ahead of it.
func (c *client) slowReader() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.ask(ctx, 80, 100_000)
	if err != nil {
		return err
	}
	for i := range 80 {
		if i%20 == 0 {
			time.Sleep(50 * time.Millisecond)
		}
		out := new(bytesValue)
		if err := stream.RecvMsg(out); err != nil || len(out.Value) != 100_000 {
			return fmt.Errorf("message %d: %d bytes, %v", i, len(out.Value), err)
		}
	}
	return ended(stream)
}

func pingPong(stream grpc.ClientStream, want []byte) error {
	if err := stream.SendMsg(wrapperspb.Bytes(want)); err != nil {
		return err
	}
	out := new(bytesValue)
	if err := stream.RecvMsg(out); err != nil || !bytes.Equal(out.Value, want) {
		return fmt.Errorf("%q came back as %q, %v", want, out.Value, err)
	}
	return nil
}

func (c *client) bidi() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.open(ctx, "Bidi")
	if err != nil {
		return err
	}
	for i := range 100 {
		if err := pingPong(stream, []byte(strconv.Itoa(i))); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return ended(stream)
}

// serverGoesFirst ends a call from the server's side while the client has not.
func (c *client) serverGoesFirst() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.open(ctx, "Bidi")
	if err != nil {
		return err
	}
	if err := pingPong(stream, []byte("before")); err != nil {
		return err
	}
	if err := stream.SendMsg(wrapperspb.Bytes([]byte("fail"))); err != nil {
		return err
	}
	err = stream.RecvMsg(new(bytesValue))
	if status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("InvalidArgument expected: %v", err)
	}
	return nil
}

func (c *client) statusDetails() error {
	ctx, stop := bounded()
	defer stop()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-fail", "9")
	_, err := c.echo(ctx, nil)
	got := status.Convert(err)
	if got.Code() != codes.FailedPrecondition || got.Message() != "as asked: 100 % ü" {
		return fmt.Errorf("status %v %q", got.Code(), got.Message())
	}
	return hasInfo(got, "peers", "ASKED")
}

func hasInfo(got *status.Status, domain string, reason string) error {
	for _, detail := range got.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is && info.Domain == domain && info.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("no ErrorInfo %s of %s in %v: %v %q", reason, domain, got.Details(), got.Code(), got.Message())
}

func (c *client) unknownMethod() error {
	ctx, stop := bounded()
	defer stop()
	err := c.connection.Invoke(ctx, "/weft.test.Echo/Nothing", wrapperspb.Bytes(nil), new(bytesValue))
	if status.Code(err) != codes.Unimplemented {
		return fmt.Errorf("Unimplemented expected: %v", err)
	}
	return nil
}

// deadline reaches the server, not longer than it was given.
func (c *client) deadline() error {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	var header metadata.MD
	if _, err := c.echo(ctx, nil, grpc.Header(&header)); err != nil {
		return err
	}
	left, err := strconv.Atoi(first(header, "x-left-ms"))
	if err != nil || left > 30000 || left < 20000 {
		return fmt.Errorf("of 30 s the server was left with %q ms", first(header, "x-left-ms"))
	}
	return nil
}

func (c *client) stats() (int, error) {
	ctx, stop := bounded()
	defer stop()
	got, err := c.echo(metadata.AppendToOutgoingContext(ctx, "x-stats", "1"), nil)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(got))
}

// untilCancelled waits until the server has seen one call more be cancelled.
func (c *client) untilCancelled(before int) error {
	for range 200 {
		if now, err := c.stats(); err != nil || now > before {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the server never learnt that the call was cancelled")
}

func (c *client) deadlinePassed() error {
	before, err := c.stats()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err = c.echo(metadata.AppendToOutgoingContext(ctx, "x-hang", "1"), nil)
	if status.Code(err) != codes.DeadlineExceeded || time.Since(began) > 2*time.Second {
		return fmt.Errorf("after %v: %v", time.Since(began), err)
	}
	return c.untilCancelled(before)
}

func (c *client) cancel() error {
	before, err := c.stats()
	if err != nil {
		return err
	}
	ctx, stop := bounded()
	defer stop()
	stream, err := c.ask(ctx, -1, 10_000)
	if err != nil {
		return err
	}
	for range 10 {
		if err := stream.RecvMsg(new(bytesValue)); err != nil {
			return err
		}
	}
	stop()
	return c.untilCancelled(before)
}

func (c *client) large() error {
	ctx, stop := bounded()
	defer stop()
	want := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	got, err := c.echo(ctx, want)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes came back, %v", len(got), err)
	}
	return nil
}

// thousandStreams are open at the same time, and all of them talk while they are.
func (c *client) thousandStreams() error {
	ctx, stop := bounded()
	defer stop()
	streams := make([]grpc.ClientStream, concurrentStreams)
	each := func(do func(int) error) error {
		errs := make(chan error, concurrentStreams)
		var group sync.WaitGroup
		for i := range streams {
			group.Go(func() { errs <- do(i) })
		}
		group.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	}
	talk := func(i int) error { return pingPong(streams[i], []byte(strconv.Itoa(i))) }
	err := each(func(i int) error {
		stream, err := c.open(ctx, "Bidi")
		streams[i] = stream
		if err != nil {
			return err
		}
		return talk(i)
	})
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	if err := each(talk); err != nil {
		return fmt.Errorf("all open: %w", err)
	}
	return each(func(i int) error {
		if err := streams[i].CloseSend(); err != nil {
			return err
		}
		return ended(streams[i])
	})
}

// idleStream outlives several pings of the server.
func (c *client) idleStream() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.open(ctx, "Bidi")
	if err != nil {
		return err
	}
	if err := pingPong(stream, []byte("before")); err != nil {
		return err
	}
	time.Sleep(2500 * time.Millisecond)
	if err := pingPong(stream, []byte("after")); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return ended(stream)
}

// goaway: the server closes each of its connections after a while, gracefully, and no call may fail of it.
func (c *client) goaway() error {
	ctx, stop := bounded()
	defer stop()
	end := time.Now().Add(2 * time.Second)
	for i := 0; time.Now().Before(end); i++ {
		if _, err := c.echo(ctx, []byte("x")); err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// ownError: there is no server, and the sidecar says so.
func (c *client) ownError() error {
	ctx, stop := bounded()
	defer stop()
	_, err := c.echo(ctx, nil)
	got := status.Convert(err)
	if got.Code() != codes.Unavailable {
		return fmt.Errorf("Unavailable expected: %v", err)
	}
	return hasInfo(got, "weft.dev", "UPSTREAM_CONNECTION_FAILURE")
}

// brokenStream: the server dies between two messages, and the sidecar says so.
func (c *client) brokenStream() error {
	ctx, stop := bounded()
	defer stop()
	stream, err := c.open(ctx, "Bidi")
	if err != nil {
		return err
	}
	if err := pingPong(stream, []byte("before")); err != nil {
		return err
	}
	fmt.Println("talking")
	err = stream.RecvMsg(new(bytesValue))
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("Unavailable expected: %v", err)
	}
	return nil
}
