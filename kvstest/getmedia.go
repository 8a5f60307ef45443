package kvstest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// getMedia answers with the chunks of a stream, starting at the place of the start selector (API Reference,
// GetMedia).
func (s *Server) getMedia(x *exchange) error {
	var in struct{ StartSelector *startSelector }
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	begin, refusal := x.st.start(in.StartSelector, time.Now(), s.opts.Now())
	if refusal != nil {
		return refusal
	}
	release, refusal := x.st.limits.connect(x.op.name)
	if refusal != nil {
		return refusal
	}
	defer release()

	x.w.Header().Set("Content-Type", mediaType)
	if x.st.endsCut() {
		x.w.Header().Set("Connection", "close")
	}
	x.w.WriteHeader(http.StatusOK)
	m := session{s: s, x: x, next: begin, flush: http.NewResponseController(x.w).Flush}
	return m.run(x.r.Context())
}

// mediaType is the type that the service sends in practice, although its payload is Matroska.
const mediaType = "video/webm"

// endsCut reports whether the last chunk is cut short.
func (st *stream) endsCut() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.chunks) > 0 && st.chunks[len(st.chunks)-1].cut
}

// session is one answer of GetMedia.
type session struct {
	s *Server
	x *exchange
	// next is the index of the chunk to send, fragments the number of chunks sent.
	next, fragments int
	sent            window
	flush           func() error
}

// run writes chunk after chunk, each from when it begins to appear, until none has begun for the idle time or the
// client has disconnected.
func (m *session) run(ctx context.Context) error {
	if err := m.flush(); err != nil { // the status line must not wait for a fragment
		return fmt.Errorf("send status of stream %s: %w", m.x.st.name, err)
	}
	lastSent := time.Now()
	for {
		now := time.Now()
		c, at, wait, grown := m.x.st.chunkAt(m.next, now, m.idleEnd()-now.Sub(lastSent))
		m.next = at
		if c == nil {
			if wait <= 0 {
				return nil
			}
			if err := waitGrown(ctx, wait, grown); err != nil {
				return fmt.Errorf("wait for chunk %d of stream %s: %w", m.next, m.x.st.name, err)
			}
			continue
		}
		if err := m.pace(ctx); err != nil {
			return fmt.Errorf("wait to send chunk %d of stream %s: %w", m.next, m.x.st.name, err)
		}
		end, err := m.send(ctx, c)
		if err != nil {
			return fmt.Errorf("send chunk %d of stream %s: %w", m.next, m.x.st.name, err)
		}
		if end {
			return nil
		}
		m.next, lastSent = m.next+1, time.Now()
	}
}

// idleEnd returns how long a session waits for a chunk. It is 0 where no chunk can appear.
func (m *session) idleEnd() time.Duration {
	if !m.x.st.live() {
		return 0
	}
	return m.s.opts.IdleEnd
}

// pace waits until the quota allows one more chunk.
func (m *session) pace(ctx context.Context) error {
	limit := m.s.opts.Quotas.FragmentsPerSecond
	if limit <= 0 {
		return nil
	}
	for !m.sent.take(limit, time.Now()) {
		if err := sleep(ctx, m.sent.wait(limit, time.Now())); err != nil {
			return err
		}
	}
	return nil
}

// send writes a chunk, or what a fault puts in its place. end reports whether the session then ends.
func (m *session) send(ctx context.Context, c *chunk) (end bool, err error) {
	end, skip, err := m.disturb(ctx, c)
	if end || err != nil {
		return end, err
	}
	if !skip {
		if err := m.write(ctx, c); err != nil {
			return false, err
		}
		m.fragments++
	}
	return false, m.flush()
}

// write writes a chunk, each piece when its time has come.
func (m *session) write(ctx context.Context, c *chunk) error {
	for begin := int64(0); ; {
		end, next := c.due(time.Now())
		if err := c.data.writeTo(m.x.w, begin, end); err != nil {
			return err
		}
		if begin = end; next.IsZero() {
			break
		}
		if err := errors.Join(m.flush(), sleep(ctx, time.Until(next))); err != nil {
			return err
		}
	}
	if !c.closing {
		return nil
	}
	_, err := m.x.w.Write(appendClosingTags(nil, m.x.st.millisBehind(c, time.Now()), c.token))
	return err
}
