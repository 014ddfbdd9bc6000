package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const blockBytes = 64 << 10

// tcpServer sends without end on one port and takes without end on another, until standard input ends.
func tcpServer(args []string) (any, error) {
	flags := flag.NewFlagSet("tcp-server", flag.ExitOnError)
	source := flags.String("source", "", "host:port that sends")
	sink := flags.String("sink", "", "host:port that takes")
	flags.Parse(args)
	block := make([]byte, blockBytes)
	serve := func(address string, each func(net.Conn)) error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer connection.Close()
					each(connection)
				}()
			}
		}()
		return nil
	}
	if err := serve(*source, func(connection net.Conn) {
		for {
			if _, err := connection.Write(block); err != nil {
				return
			}
		}
	}); err != nil {
		return nil, err
	}
	if err := serve(*sink, func(connection net.Conn) { io.Copy(io.Discard, connection) }); err != nil {
		return nil, err
	}
	fmt.Println("serving")
	_, err := io.Copy(io.Discard, os.Stdin)
	return map[string]any{}, err
}

// stream moves bytes one way over several connections.
func stream(args []string, push bool) (any, error) {
	flags := flag.NewFlagSet("stream", flag.ExitOnError)
	address := flags.String("address", "", "host:port")
	count := flags.Int("connections", 4, "connections")
	seconds := flags.Float64("seconds", 3, "how long")
	flags.Parse(args)
	var bytes atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	started := time.Now()
	until := started.Add(time.Duration(*seconds * float64(time.Second)))
	for range *count {
		connection, err := net.Dial("tcp", *address)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		connection.SetDeadline(until.Add(exchangeTimeout))
		group.Go(func() {
			block := make([]byte, blockBytes)
			move := connection.Read
			if push {
				move = connection.Write
			}
			for time.Now().Before(until) {
				n, err := move(block)
				bytes.Add(int64(n))
				if err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return map[string]any{"bytes": bytes.Load(), "seconds": time.Since(started).Seconds()}, nil
}
