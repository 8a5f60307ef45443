package kvsemu

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// accountID and creationTime complete the ARNs of the emulator's streams.
const (
	accountID     = "123456789012"
	creationTime  = "1767225600000"
	defaultRegion = "us-east-1"
)

// maxSessions is how many GetMedia responses of one stream may be open at once
// (Developer Guide, Quotas).
const maxSessions = 3

// chunk is one chunk of a stream. It does not change.
type chunk struct {
	// number is the fragment number, "" when the chunk has none.
	number string
	// token is the continuation token, "" when the chunk has none.
	token string
	// producer and server are the start on the two clocks; zero is unknown.
	producer, server time.Time
	// length is how long the chunk plays.
	length time.Duration
	// at is the moment at which it comes into being; zero is ever since.
	at time.Time
	// data is the chunk as it is sent, save for the closing tags when closing is set.
	data    []byte
	closing bool
	// cut says that the chunk ends in its middle.
	cut bool
}

// stream is one stream and its chunks, oldest first.
type stream struct {
	name, arn string

	mu       sync.Mutex
	chunks   []*chunk
	sessions int
}

func newStream(name, region string, chunks []*chunk) *stream {
	return &stream{
		name:   name,
		arn:    fmt.Sprintf("arn:aws:kinesisvideo:%s:%s:stream/%s/%s", cmp.Or(region, defaultRegion), accountID, name, creationTime),
		chunks: chunks,
	}
}

// StreamARN returns the ARN of a stream, "" when there is none of that name.
func (s *Server) StreamARN(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[name]; st != nil {
		return st.arn
	}
	return ""
}

// findStream returns the stream that a request names; exactly one of name and arn must
// be given. A server that takes any region takes any in the ARN, too.
func (s *Server) findStream(name, arn *string) (*stream, *apiError) {
	if (name == nil) == (arn == nil) {
		return nil, errInvalidArgument("either StreamName or StreamARN must be given, and not both")
	}
	want := ""
	if name != nil {
		if !streamNameForm.valid(*name) {
			return nil, errInvalidArgument("StreamName must be " + streamNameForm.text)
		}
		want = *name
	} else {
		if !streamARNForm.valid(*arn) {
			return nil, errInvalidArgument("StreamARN must be " + streamARNForm.text)
		}
		want = strings.Split(*arn, "/")[1]
	}
	s.mu.Lock()
	st := s.streams[want]
	s.mu.Unlock()
	if st == nil || arn != nil && !s.sameARN(st.arn, *arn) {
		return nil, errNotFound("there is no stream " + want + ", or none with this ARN")
	}
	return st, nil
}

func (s *Server) sameARN(have, given string) bool {
	if s.opts.Region != "" {
		return have == given
	}
	// partition, service and region may differ where any region is served
	return strings.Join(strings.Split(have, ":")[4:], ":") == strings.Join(strings.Split(given, ":")[4:], ":")
}

// acquire takes one of the stream's sessions; false when all are taken.
func (st *stream) acquire() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.sessions >= maxSessions {
		return false
	}
	st.sessions++
	return true
}

func (st *stream) release() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sessions--
}

// chunkAt returns chunk i when it is there at the moment now, and otherwise
// how long it takes to come, or false when none is known to come.
func (st *stream) chunkAt(i int, now time.Time) (c *chunk, wait time.Duration, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if i >= len(st.chunks) {
		return nil, 0, false
	}
	if wait := st.chunks[i].at.Sub(now); wait > 0 {
		return nil, wait, true
	}
	return st.chunks[i], 0, true
}

// newest returns the index of the newest chunk that is there at the moment now, -1
// when there is none yet.
func (st *stream) newest(now time.Time) int {
	for i := len(st.chunks) - 1; i >= 0; i-- {
		if !st.chunks[i].at.After(now) {
			return i
		}
	}
	return -1
}

// millisBehind returns the distance from c to the newest chunk, in milliseconds.
func (st *stream) millisBehind(c *chunk, now time.Time) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := st.newest(now)
	if i < 0 {
		return 0
	}
	return max(0, st.chunks[i].producer.Sub(c.producer).Milliseconds())
}
