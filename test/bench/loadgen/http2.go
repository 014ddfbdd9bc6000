package main

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2/hpack"
)

// Frame types, flags and settings of RFC 9113 sections 6 and 6.5.2.
const (
	frameData, frameHeaders, frameReset, frameSettings           = 0, 1, 3, 4
	framePing, frameGoAway, frameWindowUpdate, frameContinuation = 6, 7, 8, 9

	flagEndStream, flagAck, flagEndHeaders, flagPadded, flagPriority = 1, 1, 4, 8, 32

	settingInitialWindowSize = 4
	frameHeadBytes           = 9
	windowBytes              = 1 << 30
	windowRefillBytes        = 1 << 28
	streamWindowBytes        = 1 << 20
)

// A gRPC message of 64 bytes behind its five-byte prefix.
const grpcMessageBytes = 64

type http2Stream struct {
	intended int64
	ok       bool
	grpcOK   bool
}

// http2 multiplexes; a new stream may start whenever fewer than the usual maximum are open.
type http2 struct {
	fields   []hpack.HeaderField
	message  []byte
	grpc     bool
	out      []byte
	in       []byte
	block    bytes.Buffer
	encoder  *hpack.Encoder
	decoder  *hpack.Decoder
	stream   *http2Stream
	streams  map[uint32]*http2Stream
	nextID   uint32
	consumed int
}

func newHTTP2(r request, grpc bool) *http2 {
	h := &http2{grpc: grpc, streams: map[uint32]*http2Stream{}, nextID: 1}
	method := "GET"
	if grpc {
		method = "POST"
	}
	for _, field := range [][2]string{
		{":method", method}, {":scheme", "http"}, {":path", r.path}, {":authority", r.authority}, {"user-agent", "loadgen"},
	} {
		h.fields = append(h.fields, hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if grpc {
		h.fields = append(h.fields, hpack.HeaderField{Name: "content-type", Value: "application/grpc"},
			hpack.HeaderField{Name: "te", Value: "trailers"})
		h.message = make([]byte, 5+grpcMessageBytes)
		binary.BigEndian.PutUint32(h.message[1:], grpcMessageBytes)
	}
	if r.traceparent != "" {
		h.fields = append(h.fields, hpack.HeaderField{Name: "traceparent", Value: r.traceparent})
	}
	h.encoder = hpack.NewEncoder(&h.block)
	h.decoder = hpack.NewDecoder(4096, h.field)
	h.out = append(h.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	settings := binary.BigEndian.AppendUint16(nil, settingInitialWindowSize)
	h.frame(frameSettings, 0, 0, binary.BigEndian.AppendUint32(settings, streamWindowBytes))
	h.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, windowBytes))
	return h
}

func (h *http2) frame(kind, flags byte, stream uint32, payload []byte) {
	length := len(payload)
	h.out = append(h.out, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	h.out = binary.BigEndian.AppendUint32(h.out, stream)
	h.out = append(h.out, payload...)
}

func (h *http2) free() bool { return len(h.streams) < streamsMaxDefault }

func (h *http2) begin(intended int64) {
	id := h.nextID
	h.nextID += 2
	h.streams[id] = &http2Stream{intended: intended}
	h.block.Reset()
	for _, field := range h.fields {
		// Writing to a buffer in memory cannot fail.
		_ = h.encoder.WriteField(field)
	}
	if h.grpc {
		h.frame(frameHeaders, flagEndHeaders, id, h.block.Bytes())
		h.frame(frameData, flagEndStream, id, h.message)
	} else {
		h.frame(frameHeaders, flagEndHeaders|flagEndStream, id, h.block.Bytes())
	}
}

func (h *http2) pending() []byte {
	out := h.out
	h.out = h.out[:0]
	return out
}

func (h *http2) field(field hpack.HeaderField) {
	switch {
	case field.Name == ":status" && field.Value == "200":
		h.stream.ok = true
	case field.Name == "grpc-status" && field.Value == "0":
		h.stream.grpcOK = true
	}
}

func (h *http2) received(data []byte, done func(int64)) error {
	h.in = append(h.in, data...)
	rest := h.in
	for len(rest) >= frameHeadBytes {
		end := frameHeadBytes + (int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2]))
		if len(rest) < end {
			break
		}
		if err := h.take(rest[3], rest[4], binary.BigEndian.Uint32(rest[5:]), rest[frameHeadBytes:end], done); err != nil {
			return err
		}
		rest = rest[end:]
	}
	h.in = h.in[:copy(h.in, rest)]
	return nil
}

func (h *http2) take(kind, flags byte, id uint32, payload []byte, done func(int64)) error {
	switch kind {
	case frameSettings:
		if flags&flagAck == 0 {
			h.frame(frameSettings, flagAck, 0, nil)
		}
	case framePing:
		if flags&flagAck == 0 {
			h.frame(framePing, flagAck, 0, payload)
		}
	case frameReset, frameGoAway, frameContinuation:
		return fmt.Errorf("frame of type %d on stream %d: %x", kind, id, payload)
	case frameData:
		h.refill(len(payload))
		return h.end(flags, id, done)
	case frameHeaders:
		return h.headers(flags, id, payload, done)
	}
	return nil
}

func (h *http2) headers(flags byte, id uint32, payload []byte, done func(int64)) error {
	if flags&flagEndHeaders == 0 || flags&(flagPadded|flagPriority) != 0 {
		return fmt.Errorf("HEADERS with flags %x, which this generator does not read", flags)
	}
	h.stream = h.streams[id]
	if h.stream == nil {
		return fmt.Errorf("HEADERS on stream %d, which is not open", id)
	}
	if _, err := h.decoder.Write(payload); err != nil {
		return err
	}
	if err := h.decoder.Close(); err != nil {
		return err
	}
	return h.end(flags, id, done)
}

func (h *http2) end(flags byte, id uint32, done func(int64)) error {
	if flags&flagEndStream == 0 {
		return nil
	}
	stream := h.streams[id]
	if stream == nil {
		return fmt.Errorf("the end of stream %d, which is not open", id)
	}
	if !stream.ok || h.grpc && !stream.grpcOK {
		return fmt.Errorf("a response that failed: status 200 %t, grpc-status 0 %t", stream.ok, stream.grpcOK)
	}
	delete(h.streams, id)
	done(stream.intended)
	return nil
}

func (h *http2) refill(bytes int) {
	h.consumed += bytes
	if h.consumed >= windowRefillBytes {
		h.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(h.consumed)))
		h.consumed = 0
	}
}
