package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"
)

const (
	outstandingWaitMax = 5 * time.Second
	readBytes          = 64 << 10
	// epoll_pwait2(2), the same number on x86-64 and arm64: epoll_wait has whole milliseconds only.
	sysEpollPwait2    = 441
	prSetTimerslack   = 29
	streamsMaxDefault = 100
)

// protocol is what a connection speaks; a request is told by when it should have been sent.
type protocol interface {
	// free says whether another request may start on this connection.
	free() bool
	// begin adds a request to what is to be written.
	begin(intended int64)
	// received takes bytes and calls done for each whole, good response.
	received(data []byte, done func(intended int64)) error
	// pending gives what is to be written, and forgets it.
	pending() []byte
}

type connection struct {
	fd       int
	protocol protocol
	unsent   []byte
	waiting  bool
}

type rateResult struct {
	Sent      int     `json:"sent"`
	Completed int     `json:"completed"`
	Counted   int     `json:"counted"`
	Failures  int     `json:"failures"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p999_ms"`
	Max       float64 `json:"max_ms"`
	Mean      float64 `json:"mean_ms"`
	// LagP99 is how late the generator itself was in seeing that a request was due.
	LagP99 float64 `json:"lag_p99_ms"`
}

type generator struct {
	epoll       int
	connections []*connection
	next        int
	queue       []int64
	buffer      []byte
	start       int64
	countFrom   int64
	latencies   []int64
	lags        []int64
	result      rateResult
}

func monotonic() int64 {
	var ts syscall.Timespec
	// CLOCK_MONOTONIC through the vDSO is what time.Now reads; a plain number is what this loop wants.
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func rate(args []string) (any, error) {
	flags := flag.NewFlagSet("rate", flag.ExitOnError)
	address := flags.String("address", "", "host:port")
	kind := flags.String("protocol", "h1", "h1, h2 or grpc")
	path := flags.String("path", "/", "path of each request")
	perSecond := flags.Int("rate", 1000, "requests a second")
	count := flags.Int("connections", 16, "connections")
	seconds := flags.Float64("seconds", 4, "how long, after what is discarded")
	discard := flags.Float64("discard", 0, "seconds at the start that are not counted")
	trace := flags.String("traceparent", "", "value of that header")
	flags.Parse(args)

	// One thread sends, receives and keeps time: no scheduler stands between a response and its time stamp.
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerslack, 1, 0)
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	g := &generator{epoll: epoll, buffer: make([]byte, readBytes)}
	for range *count {
		fd, err := dial(*address)
		if err != nil {
			return nil, err
		}
		request := request{authority: *address, path: *path, traceparent: *trace}
		c := &connection{fd: fd}
		switch *kind {
		case "h1":
			c.protocol = newHTTP1(request)
		case "h2", "grpc":
			c.protocol = newHTTP2(request, *kind == "grpc")
		default:
			return nil, fmt.Errorf("unknown protocol %q", *kind)
		}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(len(g.connections))}
		if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			return nil, err
		}
		g.connections = append(g.connections, c)
		if err := g.flush(c); err != nil {
			return nil, err
		}
	}
	total := int((*seconds + *discard) * float64(*perSecond))
	g.latencies = make([]int64, 0, total)
	g.lags = make([]int64, 0, total)
	g.start = monotonic()
	g.countFrom = g.start + int64(*discard*1e9)
	if err := g.run(total, int64(1e9)/int64(*perSecond)); err != nil {
		return nil, err
	}
	g.result.summarize(g.latencies, g.lags)
	return g.result, nil
}

func dial(address string) (int, error) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return 0, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	at := &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	if err := syscall.Connect(fd, at); err != nil {
		return 0, fmt.Errorf("connect %s: %w", address, err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	return fd, syscall.SetNonblock(fd, true)
}

func (g *generator) run(total int, every int64) error {
	scheduled := 0
	var deadline int64
	for g.result.Completed < total {
		now := monotonic()
		for scheduled < total && g.start+int64(scheduled)*every <= now {
			intended := g.start + int64(scheduled)*every
			g.queue = append(g.queue, intended)
			if intended >= g.countFrom {
				g.lags = append(g.lags, now-intended)
			}
			scheduled++
		}
		if err := g.send(); err != nil {
			return err
		}
		wait := g.start + int64(scheduled)*every - monotonic()
		if scheduled == total {
			if deadline == 0 {
				deadline = now + int64(outstandingWaitMax)
			}
			if now > deadline {
				return fmt.Errorf("%d of %d requests were never answered", total-g.result.Completed, total)
			}
			wait = int64(100 * time.Millisecond)
		}
		if err := g.poll(max(wait, 0)); err != nil {
			return err
		}
	}
	return nil
}

// send starts what is due, on the connections in turn; what finds none free waits, and its latency runs.
func (g *generator) send() error {
	for len(g.queue) > 0 {
		c := g.pick()
		if c == nil {
			return nil
		}
		intended := g.queue[0]
		g.queue = g.queue[1:]
		c.protocol.begin(intended)
		g.result.Sent++
		if err := g.flush(c); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) pick() *connection {
	for range g.connections {
		c := g.connections[g.next]
		g.next = (g.next + 1) % len(g.connections)
		if c.protocol.free() {
			return c
		}
	}
	return nil
}

func (g *generator) flush(c *connection) error {
	c.unsent = append(c.unsent, c.protocol.pending()...)
	for len(c.unsent) > 0 {
		n, err := syscall.Write(c.fd, c.unsent)
		if err == syscall.EAGAIN {
			return g.watch(c, true)
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.unsent = c.unsent[n:]
	}
	c.unsent = nil
	return g.watch(c, false)
}

func (g *generator) watch(c *connection, writable bool) error {
	if c.waiting == writable {
		return nil
	}
	c.waiting = writable
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(slices.Index(g.connections, c))}
	if writable {
		event.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event)
}

func (g *generator) poll(wait int64) error {
	var events [64]syscall.EpollEvent
	timeout := syscall.NsecToTimespec(wait)
	n, _, code := syscall.Syscall6(sysEpollPwait2, uintptr(g.epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if code == syscall.EINTR {
		return nil
	}
	if code != 0 {
		return fmt.Errorf("epoll_pwait2: %w", code)
	}
	for _, event := range events[:n] {
		c := g.connections[event.Fd]
		if event.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			if err := g.read(c); err != nil {
				return err
			}
		}
		if err := g.flush(c); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) read(c *connection) error {
	n, err := syscall.Read(c.fd, g.buffer)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if n == 0 {
		return errors.New("the proxy closed a connection")
	}
	now := monotonic()
	return c.protocol.received(g.buffer[:n], func(intended int64) {
		g.result.Completed++
		if intended >= g.countFrom {
			g.latencies = append(g.latencies, now-intended)
		}
	})
}

func percentile(sorted []int64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(float64(len(sorted))*share), len(sorted)-1)
	return float64(sorted[at]) / 1e6
}

func (r *rateResult) summarize(latencies, lags []int64) {
	slices.Sort(latencies)
	slices.Sort(lags)
	r.Counted = len(latencies)
	r.P50 = percentile(latencies, 0.5)
	r.P99 = percentile(latencies, 0.99)
	r.P999 = percentile(latencies, 0.999)
	r.Max = percentile(latencies, 1)
	r.LagP99 = percentile(lags, 0.99)
	var sum int64
	for _, one := range latencies {
		sum += one
	}
	r.Mean = float64(sum) / float64(max(len(latencies), 1)) / 1e6
}
