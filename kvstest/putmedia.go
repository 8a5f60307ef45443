package kvstest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// The headers of PutMedia (API Reference, PutMedia).
const (
	headerStreamName = "x-amzn-stream-name"
	headerStreamARN  = "x-amzn-stream-arn"
	headerTimecodes  = "x-amzn-fragment-timecode-type"
	headerStart      = "x-amzn-producer-start-timestamp"
)

// headerStream finds the stream in the headers.
func (s *Server) headerStream(x *exchange) (*stream, *apiError) {
	header := func(name string) *string {
		if values := x.r.Header.Values(name); len(values) > 0 {
			return &values[0]
		}
		return nil
	}
	return s.findStream(header(headerStreamName), header(headerStreamARN))
}

// putMedia reads a producer's media as it arrives, and acknowledges each fragment on the same connection. A
// fragment is available as soon as it is whole.
func (s *Server) putMedia(x *exchange) error {
	origin, refusal := timecodeOrigin(x.r.Header)
	if refusal != nil {
		return refusal
	}
	release, refusal := x.st.limits.connect(x.op.name)
	if refusal != nil {
		return refusal
	}
	defer release()
	x.st.change(func() { x.st.fed = true }) // readers wait for more

	rc := http.NewResponseController(x.w)
	if err := rc.EnableFullDuplex(); err != nil {
		return fmt.Errorf("answer while the body comes: %w", err)
	}
	// Only this ends a read of the body when a fault ends the answer.
	defer context.AfterFunc(x.r.Context(), func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) })()
	body := &watched{in: bufio.NewReader(x.r.Body)}
	if strings.EqualFold(x.r.Header.Get("Expect"), "100-continue") {
		_, _ = body.in.Peek(1) // reading sends the interim answer, for which the producer waits
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("Connection", "close")
	x.w.WriteHeader(http.StatusOK)
	if err := rc.Flush(); err != nil {
		return fmt.Errorf("send status: %w", err)
	}
	p := &producer{s: s, x: x, origin: origin, flush: rc.Flush}
	stop := p.idle(body)
	defer stop()
	return p.run(body)
}

// timecodeOrigin returns the producer time of timecode zero.
func timecodeOrigin(h http.Header) (time.Time, *apiError) {
	start, kind := h.Get(headerStart), h.Get(headerTimecodes)
	begin, ok := parseSeconds(json.Number(start))
	switch {
	case start != "" && !ok:
		return begin, errInvalidArgument(headerStart + " must be a number of seconds since 1970")
	case kind == "ABSOLUTE":
		return time.Unix(0, 0).UTC(), nil
	case kind != "RELATIVE":
		return begin, errInvalidArgument(headerTimecodes + " must be ABSOLUTE or RELATIVE")
	case start == "":
		// AWS does not say how it handles this.
		return begin, errInvalidArgument(headerStart + " must be given with RELATIVE timecodes")
	}
	return begin, nil
}

// watched is a body that records whether bytes have arrived.
type watched struct {
	in   *bufio.Reader
	came atomic.Bool
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.in.Read(b)
	if n > 0 {
		w.came.Store(true)
	}
	return n, err
}

// producer is one PutMedia session.
type producer struct {
	s      *Server
	x      *exchange
	origin time.Time
	flush  func() error

	// number, server and timecode are those of the fragment that is arriving.
	number   string
	server   time.Time
	timecode time.Duration

	mu  sync.Mutex // of the answer, which two goroutines write
	err error      // of the first acknowledgement that could not be sent
}

// acknowledgement is one line of PutMedia's answer.
type acknowledgement struct {
	EventType        string
	FragmentTimecode *int64 `json:",omitempty"` // in milliseconds
	FragmentNumber   string `json:",omitempty"`
	ErrorID          int    `json:"ErrorId,omitempty"`
	ErrorCode        string `json:",omitempty"`
}

// run reads the media.
func (p *producer) run(body io.Reader) error {
	in := &intake{in: ebml.NewReader(body), begin: p.begin, end: p.end}
	err := in.run()
	if bad, ok := errors.AsType[*putError](err); ok {
		p.s.opts.Log.Info("media refused", "stream", p.x.st.name, "error", bad)
		p.acknowledge(acknowledgement{EventType: "ERROR", ErrorID: bad.id, ErrorCode: bad.code})
		err = nil
	}
	if p.x.r.Context().Err() != nil {
		err = context.Cause(p.x.r.Context())
	}
	if err != nil {
		return fmt.Errorf("take media in: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// begin acknowledges that a fragment has begun to arrive.
func (p *producer) begin(timecode time.Duration) {
	p.server, p.timecode = p.s.opts.Now(), timecode
	p.number = p.x.st.nextNumber(p.server)
	p.acknowledge(acknowledgement{EventType: "BUFFERING"})
}

// end adds a whole fragment to the stream.
func (p *producer) end(f *putFragment) {
	c := &chunk{
		number: p.number, token: p.number,
		producer: p.origin.Add(p.timecode).Truncate(time.Millisecond),
		server:   p.server,
		born:     p.server,
		length:   f.doc.length(),
		closing:  true,
	}
	aws := Chunk{FragmentNumber: c.number, ProducerTime: c.producer, ServerTime: c.server}
	data := slices.Concat(f.head, f.leading, appendTags(nil, aws.openingTags()), f.cluster, f.trailing)
	c.data, c.tail = content{bytes: data}, span{len(data), len(data)}
	p.x.st.append(c, p.s.opts.Now(), p.s.opts.MaxRecording)
	p.acknowledge(acknowledgement{EventType: "RECEIVED"})
	if p.x.archive() == nil {
		p.acknowledge(acknowledgement{EventType: "PERSISTED"})
	}
}

// acknowledge sends one line about the fragment that is arriving.
func (p *producer) acknowledge(a acknowledgement) {
	if a.EventType != "IDLE" && p.number != "" {
		ms := p.timecode.Milliseconds()
		a.FragmentTimecode, a.FragmentNumber = &ms, p.number
	}
	line, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of strings and numbers always marshals
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if _, p.err = p.x.w.Write(append(line, '\n')); p.err == nil {
		p.err = p.flush()
	}
}

// idle sends an acknowledgement whenever nothing has arrived for the idle time. The returned function ends
// that and waits for it.
func (p *producer) idle(body *watched) (stop func()) {
	quit := make(chan struct{})
	ticker := time.NewTicker(max(p.s.opts.IdleEnd, time.Millisecond))
	var running sync.WaitGroup
	running.Go(func() {
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
			if !body.came.Swap(false) {
				p.acknowledge(acknowledgement{EventType: "IDLE"})
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}

// nextNumber returns the number of a fragment that begins to arrive at now: 47 digits, as in KVS, and greater
// than every earlier number. Two streams have no number in common.
func (st *stream) nextNumber(now time.Time) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	number := fmt.Sprintf("91343852%020d%019d", max(0, now.UnixNano()), hash64(st.name)%1e19)
	last := st.lastNumber
	if last == "" { // the numbers of a recording precede those of its producer
		for _, c := range st.chunks {
			if media.CompareNumbers(c.number, last) > 0 {
				last = c.number
			}
		}
	}
	if media.CompareNumbers(number, last) <= 0 {
		n, _ := new(big.Int).SetString(last, 10) // validated: only digits
		number = n.Add(n, big.NewInt(1)).String()
	}
	st.lastNumber = number
	return number
}
