package kvstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// accountID and creationTime complete the ARNs of recordings; a stream created by a call has the time of the call.
const (
	accountID     = "123456789012"
	creationTime  = "1767225600000"
	defaultRegion = "us-east-1"
)

// maxSessions is the largest number of concurrent GetMedia responses of one stream (Developer Guide, Quotas).
const maxSessions = 3

// RecordingRetention is the retention of streams made from recordings, until SetRetention
// changes it: ten years, the longest that KVS accepts.
const RecordingRetention = 87_600 * time.Hour

// Without retention a stream keeps the content of a buffer on the host: 5 min or 200 MB (API Reference,
// CreateStream).
const (
	bufferTime  = 5 * time.Minute
	bufferBytes = 200_000_000
)

// chunk is one chunk of a stream. It does not change.
type chunk struct {
	// number is the fragment number, "" when the chunk has none.
	number string
	// token is the continuation token, "" when the chunk has none.
	token string
	// producer and server are the start on the two clocks; zero is unknown.
	producer, server time.Time
	// length is the chunk's duration.
	length time.Duration
	// at is when the chunk begins to appear, whole when all of it is there; zero is always.
	at, whole time.Time
	// pieces are the parts that are sent before whole, each at its time; none if the chunk is sent at once.
	pieces []piece
	// born is at on the clock of retention.
	born time.Time
	// data is the chunk as it is sent, without the closing tags when closing is set.
	data    content
	closing bool
	// tail is the range of the closing tags in data; it is empty when data has none.
	tail span
	// cut reports whether the chunk is cut short.
	cut bool
	// merged reports whether the chunk has several fragments under one header.
	merged bool
}

// span is a range of bytes.
type span struct{ begin, end int }

// writeArchived writes the chunk without the closing tags.
func (c *chunk) writeArchived(w io.Writer) error {
	if err := c.data.writeTo(w, 0, int64(c.tail.begin)); err != nil {
		return err
	}
	return c.data.writeTo(w, int64(c.tail.end), c.data.len())
}

// archivedSize returns the number of bytes that writeArchived writes.
func (c *chunk) archivedSize() int { return int(c.data.len()) - (c.tail.end - c.tail.begin) }

// stored reports whether the archive has the chunk. A chunk that has no number or is cut short was never stored.
func (c *chunk) stored() bool { return c.number != "" && !c.cut && !c.server.IsZero() }

// stream is one stream and its chunks, oldest first.
type stream struct {
	name, arn string
	about     streamInfo // without the retention
	limits    *limiter

	mu        sync.Mutex
	retention time.Duration
	tier      string
	// fed reports whether chunks arrive by PutMedia, so that more may always follow; paced whether those of the recording have times.
	fed, paced bool
	// chunks[i] is the stream's chunk number first+i; earlier ones were dropped.
	chunks []*chunk
	first  int
	bytes  int64
	// lastNumber is the last number that PutMedia assigned, "" before the first.
	lastNumber string
	// grown is closed when a chunk arrives by PutMedia.
	grown chan struct{}
	// base is the path of the data endpoint; refused reports whether it refuses until it is requested again:
	// see the faults.
	base    string
	refused bool
}

// newStream returns a stream of a recording.
func newStream(name, region string, chunks []*chunk) *stream {
	ms, _ := strconv.ParseInt(creationTime, 10, 64) // a constant
	return makeStream(name, region, time.UnixMilli(ms), streamInfo{}, chunks)
}

// makeStream returns a stream. about has the settings of CreateStream that DescribeStream returns.
func makeStream(name, region string, created time.Time, about streamInfo, chunks []*chunk) *stream {
	arn := fmt.Sprintf("arn:aws:kinesisvideo:%s:%s:stream/%s/%d", cmp.Or(region, defaultRegion), accountID, name, created.UnixMilli())
	about.StreamName, about.StreamARN, about.CreationTime = name, arn, seconds(created)
	about.Status, about.Version = "ACTIVE", hashHex([]byte(arn))[:20]
	var size int64
	for _, c := range chunks {
		size += c.data.len()
	}
	return &stream{
		name: name, arn: arn, about: about, chunks: chunks, bytes: size,
		retention: RecordingRetention, tier: tierHot, grown: make(chan struct{}),
	}
}

var errTaken = errors.New("a stream of this name exists already")

// register adds a stream to the server.
func (s *Server) register(st *stream) error {
	st.limits = newLimiter(s.opts.Quotas)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[st.name] != nil {
		return errTaken
	}
	s.streams[st.name] = st
	return nil
}

// CreateStream adds a stream without media, for producers that use PutMedia. With a retention of 0 it has no
// archive. It is an error if the name is taken.
func (s *Server) CreateStream(name string, retention time.Duration) error {
	if !streamNameForm.valid(name) {
		return fmt.Errorf("create stream %s: the name must be %s", name, streamNameForm.text)
	}
	if retention < 0 || retention > RecordingRetention {
		return fmt.Errorf("create stream %s: retention (%v) is not between 0 and %v", name, retention, RecordingRetention)
	}
	if _, err := s.createStream(name, retention, streamInfo{}); err != nil {
		return fmt.Errorf("create stream %s: %w", name, err)
	}
	return nil
}

func (s *Server) createStream(name string, retention time.Duration, about streamInfo) (*stream, error) {
	st := makeStream(name, s.opts.Region, s.opts.Now(), about, nil)
	st.retention, st.fed = retention, true
	return st, s.register(st)
}

// SetRetention changes how long a stream keeps each fragment after it has appeared. With 0
// there is no archive, and GetMedia reads the last 5 min.
func (s *Server) SetRetention(name string, retention time.Duration) error {
	st := s.lookup(name)
	if st == nil {
		return fmt.Errorf("set retention: there is no stream %s", name)
	}
	if retention < 0 {
		return fmt.Errorf("set retention of stream %s: %v is negative", name, retention)
	}
	st.change(func() { st.retention = retention })
	return nil
}

// change calls f with the stream's lock.
func (st *stream) change(f func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	f()
}

// StreamARN returns the ARN of a stream, "" if there is no such stream.
func (s *Server) StreamARN(name string) string {
	if st := s.lookup(name); st != nil {
		return st.arn
	}
	return ""
}

func (s *Server) lookup(name string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

// findStream returns the stream of a request; exactly one of name and arn must be given. A server that accepts
// any region also accepts any in the ARN.
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
	st := s.lookup(want)
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

// keep returns how long media can be read.
func (st *stream) keep() time.Duration {
	if st.retention == 0 {
		return bufferTime
	}
	return st.retention
}

// kept returns the chunks within the retention at the time now, and the index of the first of them. The
// caller holds the lock.
func (st *stream) kept(now time.Time) ([]*chunk, int) {
	gone := 0
	for gone < len(st.chunks) && now.Sub(st.chunks[gone].born) > st.keep() {
		gone++
	}
	return st.chunks[gone:], st.first + gone
}

// append adds a chunk, wakes the sessions that wait for it, and drops chunks that are too old or exceed limit bytes.
func (st *stream) append(c *chunk, now time.Time, limit int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.retention == 0 {
		limit = min(limit, bufferBytes)
	}
	st.chunks = append(st.chunks, c)
	st.bytes += c.data.len()
	_, oldest := st.kept(now)
	for len(st.chunks) > 1 && (st.first < oldest || st.bytes > limit) {
		st.bytes -= st.chunks[0].data.len()
		st.chunks[0] = nil
		st.chunks = st.chunks[1:]
		st.first++
	}
	close(st.grown)
	st.grown = make(chan struct{})
}

// chunkAt returns chunk i, or the oldest one if i was dropped, if it has begun at the time now. Otherwise wait is
// the time until it begins, most if that is unknown or longer, and grown is closed when PutMedia adds a chunk.
func (st *stream) chunkAt(i int, now time.Time, most time.Duration) (c *chunk, at int, wait time.Duration, grown <-chan struct{}) {
	st.mu.Lock()
	defer st.mu.Unlock()
	i = max(i, st.first)
	if i-st.first >= len(st.chunks) {
		return nil, i, most, st.grown
	}
	c = st.chunks[i-st.first]
	if wait := c.at.Sub(now); wait > 0 {
		return nil, i, min(wait, most), st.grown
	}
	return c, i, 0, nil
}

// live reports whether a chunk may still arrive.
func (st *stream) live() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.fed || st.paced
}

// newest returns the index of the last chunk that has reached a point, its start or its end, at the time now; -1 when none has yet.
func newest(chunks []*chunk, point func(*chunk) time.Time, now time.Time) int {
	for i := len(chunks) - 1; i >= 0; i-- {
		if !point(chunks[i]).After(now) {
			return i
		}
	}
	return -1
}

func (c *chunk) beginTime() time.Time { return c.at }
func (c *chunk) wholeTime() time.Time { return c.whole }

// millisBehind returns the distance from c to the newest whole chunk, in milliseconds: 0 for a session that keeps pace. AWS does not document
// whether a chunk that is still arriving counts; a session that keeps pace would then be a chunk behind.
func (st *stream) millisBehind(c *chunk, now time.Time) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := newest(st.chunks, (*chunk).wholeTime, now)
	if i < 0 {
		return 0
	}
	return max(0, st.chunks[i].producer.Sub(c.producer).Milliseconds())
}

// waitGrown waits for d, for grown, or for the end of ctx. It returns the cause of ctx if ctx ends.
func waitGrown(ctx context.Context, d time.Duration, grown <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-grown:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sleep waits for d, or for the end of ctx. It returns the cause of ctx if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return waitGrown(ctx, d, nil)
}
