package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const messageBytesMax = 16 << 20

// service is weft.test.Echo, whose messages are all google.protobuf.BytesValue, so that no generated code is needed.
type service struct {
	cancelled atomic.Int64
	calls     atomic.Int64
}

type bytesValue = wrapperspb.BytesValue

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (s *service) unary(ctx context.Context, in *bytesValue) (*bytesValue, error) {
	s.calls.Add(1)
	md, _ := metadata.FromIncomingContext(ctx)
	if bin := first(md, "x-bin"); bin != "" {
		_ = grpc.SetHeader(ctx, metadata.Pairs("echo-bin", bin))
	}
	if values := md.Get("x-text"); len(values) > 0 {
		_ = grpc.SetTrailer(ctx, metadata.MD{"echo-text": values})
	}
	if deadline, set := ctx.Deadline(); set {
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-left-ms", strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)))
	}
	if first(md, "x-stats") != "" {
		return wrapperspb.Bytes([]byte(fmt.Sprint(s.cancelled.Load()))), nil
	}
	if first(md, "x-hang") != "" {
		<-ctx.Done()
		s.cancelled.Add(1)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if code := first(md, "x-fail"); code != "" {
		number, _ := strconv.Atoi(code)
		failure, err := status.New(codes.Code(number), "as asked: 100 % ü").WithDetails(&errdetails.ErrorInfo{Reason: "ASKED", Domain: "peers"})
		if err != nil {
			return nil, err
		}
		return nil, failure.Err()
	}
	return in, nil
}

func (s *service) clientStream(stream grpc.ServerStream) error {
	messages, bytes := 0, 0
	for {
		in := new(bytesValue)
		err := stream.RecvMsg(in)
		if err == io.EOF {
			return stream.SendMsg(wrapperspb.Bytes([]byte(fmt.Sprintf("%d %d", messages, bytes))))
		}
		if err != nil {
			return err
		}
		messages++
		bytes += len(in.Value)
	}
}

// serverStream sends as many messages of as many bytes as asked, or without end.
func (s *service) serverStream(stream grpc.ServerStream) error {
	in := new(bytesValue)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	var count, size int
	if _, err := fmt.Sscan(string(in.Value), &count, &size); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	payload := wrapperspb.Bytes(make([]byte, size))
	for i := 0; count < 0 || i < count; i++ {
		if err := stream.SendMsg(payload); err != nil {
			s.cancelled.Add(1)
			return err
		}
	}
	return nil
}

func (s *service) bidi(stream grpc.ServerStream) error {
	for {
		in := new(bytesValue)
		err := stream.RecvMsg(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if string(in.Value) == "fail" {
			return status.Error(codes.InvalidArgument, "as asked")
		}
		if err := stream.SendMsg(in); err != nil {
			return err
		}
	}
}

func description(s *service) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "weft.test.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Unary",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				in := new(bytesValue)
				if err := decode(in); err != nil {
					return nil, err
				}
				return s.unary(ctx, in)
			},
		}},
		Streams: []grpc.StreamDesc{
			{StreamName: "ClientStream", ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error { return s.clientStream(stream) }},
			{StreamName: "ServerStream", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error { return s.serverStream(stream) }},
			{StreamName: "Bidi", ClientStreams: true, ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error { return s.bidi(stream) }},
		},
	}
}

// serve pings its clients every second, and with PEERS_CONNECTION_AGE_MS sends them GOAWAY that often.
func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	parameters := keepalive.ServerParameters{Time: time.Second, Timeout: 5 * time.Second}
	if ms, err := strconv.Atoi(os.Getenv("PEERS_CONNECTION_AGE_MS")); err == nil {
		parameters.MaxConnectionAge = time.Duration(ms) * time.Millisecond
		parameters.MaxConnectionAgeGrace = 10 * time.Second
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.MaxSendMsgSize(messageBytesMax),
		grpc.KeepaliveParams(parameters),
	)
	server.RegisterService(description(&service{}), nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		server.GracefulStop()
	}()
	return server.Serve(listener)
}
