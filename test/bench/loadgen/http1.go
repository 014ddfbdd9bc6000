package main

import (
	"bytes"
	"fmt"
	"strconv"
)

type request struct {
	authority   string
	path        string
	traceparent string
}

// http1 has one request at a time on a connection.
type http1 struct {
	message  []byte
	out      []byte
	in       []byte
	intended int64
	busy     bool
}

func newHTTP1(r request) *http1 {
	head := "GET " + r.path + " HTTP/1.1\r\nHost: " + r.authority + "\r\nUser-Agent: loadgen\r\nAccept: */*\r\n"
	if r.traceparent != "" {
		head += "traceparent: " + r.traceparent + "\r\n"
	}
	return &http1{message: []byte(head + "\r\n")}
}

func (h *http1) free() bool { return !h.busy }

func (h *http1) begin(intended int64) {
	h.busy = true
	h.intended = intended
	h.out = append(h.out, h.message...)
}

func (h *http1) pending() []byte {
	out := h.out
	h.out = h.out[:0]
	return out
}

func (h *http1) received(data []byte, done func(int64)) error {
	h.in = append(h.in, data...)
	if !h.busy {
		return fmt.Errorf("a response that nobody asked for: %.200q", h.in)
	}
	length, err := responseLength(h.in)
	if err != nil {
		return err
	}
	if length == 0 || len(h.in) < length {
		return nil
	}
	if len(h.in) > length {
		return fmt.Errorf("%d bytes after a response", len(h.in)-length)
	}
	h.in = h.in[:0]
	h.busy = false
	done(h.intended)
	return nil
}

// responseLength is that of head and body; 0 while the head is not whole.
func responseLength(in []byte) (int, error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := in[:end+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("a response that failed: %.400q", in)
	}
	at := bytes.Index(bytes.ToLower(head), []byte("\r\ncontent-length:"))
	if at < 0 {
		return 0, fmt.Errorf("a response without Content-Length: %q", head)
	}
	value, _, _ := bytes.Cut(head[at+len("\r\ncontent-length:"):], []byte("\r\n"))
	body, err := strconv.Atoi(string(bytes.TrimSpace(value)))
	if err != nil {
		return 0, err
	}
	return end + 4 + body, nil
}
