package kvsemu

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// getMedia answers with the chunks of a stream, from the one that the start selector
// names on (API Reference, GetMedia).
func (s *Server) getMedia(w http.ResponseWriter, r *http.Request, body []byte) error {
	var in struct {
		StreamName, StreamARN *string
		StartSelector         *startSelector
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return errSerialization("the request body is not the JSON of GetMedia")
	}
	st, refusal := s.findStream(in.StreamName, in.StreamARN)
	if refusal != nil {
		return refusal
	}
	begin, refusal := st.start(in.StartSelector, time.Now())
	if refusal != nil {
		return refusal
	}
	if !st.acquire() {
		return errConnectionLimit(fmt.Sprintf("stream %s has %d open GetMedia connections, which is the limit", st.name, maxSessions))
	}
	defer st.release()

	// What the service has been seen to answer; its payload is Matroska all the same.
	w.Header().Set("Content-Type", "video/webm")
	if st.endsCut() {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(http.StatusOK)
	return s.send(r.Context(), w, st, begin)
}

// endsCut says that the last chunk ends in its middle.
func (st *stream) endsCut() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.chunks) > 0 && st.chunks[len(st.chunks)-1].cut
}

// send writes chunk after chunk, each as soon as it is there, until none has come for
// the idle time or the client is gone.
func (s *Server) send(ctx context.Context, w http.ResponseWriter, st *stream, next int) error {
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil { // the status line does not wait for a fragment
		return fmt.Errorf("send status of stream %s: %w", st.name, err)
	}
	lastSent := time.Now()
	for {
		now := time.Now()
		c, wait, known := st.chunkAt(next, now)
		if c == nil {
			idle := s.idleEnd() - now.Sub(lastSent)
			if !known || wait > idle {
				wait = idle
			}
			if wait <= 0 {
				return nil
			}
			if err := sleep(ctx, wait); err != nil {
				return fmt.Errorf("wait for chunk %d of stream %s: %w", next, st.name, err)
			}
			continue
		}
		if err := s.sendChunk(w, st, c); err != nil {
			return fmt.Errorf("send chunk %d of stream %s: %w", next, st.name, err)
		}
		if err := flush(); err != nil {
			return fmt.Errorf("send chunk %d of stream %s: %w", next, st.name, err)
		}
		next, lastSent = next+1, time.Now()
	}
}

// idleEnd is how long a session waits for a chunk. Where every chunk is there from the
// start, none is worth waiting for.
func (s *Server) idleEnd() time.Duration {
	if s.opts.Pace == PaceMax {
		return 0
	}
	return s.opts.IdleEnd
}

func (s *Server) sendChunk(w http.ResponseWriter, st *stream, c *chunk) error {
	if _, err := w.Write(c.data); err != nil {
		return err
	}
	if !c.closing {
		return nil
	}
	_, err := w.Write(appendClosingTags(nil, st.millisBehind(c, time.Now()), c.token))
	return err
}

// sleep waits for d, or for the end of ctx, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
