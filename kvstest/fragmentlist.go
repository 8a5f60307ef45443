package kvstest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/kvsframes/kvsframes/source/payload"
)

// maxFragmentList is the largest number of fragments in one call (API Reference, GetMediaForFragmentList).
const maxFragmentList = 1000

// notFoundID is the error for a missing fragment; the service sends it in practice, but does not document it.
const notFoundID = 3000

// getMediaForFragmentList answers with the fragments that a request lists, in its order, and with an error
// chunk for each missing one.
func (s *Server) getMediaForFragmentList(x *exchange) error {
	var in struct{ Fragments []string }
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	if n := len(in.Fragments); n < 1 || n > maxFragmentList {
		return errInvalidArgument(fmt.Sprintf("Fragments (%d) is not a list of 1 to %d fragment numbers", n, maxFragmentList))
	}
	for _, number := range in.Fragments {
		if !fragmentNumberForm.valid(number) {
			return errInvalidArgument("Fragments must be " + fragmentNumberForm.text)
		}
	}
	if refusal := x.archive(); refusal != nil {
		return refusal
	}
	found := x.st.find(in.Fragments, time.Now(), s.opts.Now())
	if s.foreign(x.st, in.Fragments, found) {
		return errInvalidArgument("Fragment numbers are invalid")
	}
	if refusal := s.refusesList(x, in.Fragments); refusal != nil {
		return refusal
	}
	release, refusal := x.st.limits.connect(x.op.name)
	if refusal != nil {
		return refusal
	}
	defer release()
	if refusal := x.st.limits.pay(x.op.name, len(in.Fragments), time.Now()); refusal != nil {
		return refusal
	}
	x.w.Header().Set("Content-Type", mediaType)
	x.w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(x.w).Flush
	for i, number := range in.Fragments {
		if err := s.sendArchived(x, number, found[i]); err != nil {
			return fmt.Errorf("send fragment %d of stream %s: %w", i, x.st.name, err)
		}
		if err := flush(); err != nil {
			return fmt.Errorf("send fragment %d of stream %s: %w", i, x.st.name, err)
		}
	}
	return nil
}

// find returns the stored chunk of each number, nil for a missing one. now is the current time, kept the
// current time by the clock of retention.
func (st *stream) find(numbers []string, now, kept time.Time) []*chunk {
	st.mu.Lock()
	defer st.mu.Unlock()
	chunks, _ := st.kept(kept)
	byNumber := make(map[string]*chunk, len(chunks))
	for _, c := range chunks {
		if c.stored() && !c.at.After(now) {
			byNumber[payload.PlainNumber(c.number)] = c
		}
	}
	found := make([]*chunk, len(numbers))
	for i, number := range numbers {
		found[i] = byNumber[payload.PlainNumber(number)]
	}
	return found
}

// foreign reports whether a number that own lacks belongs to another stream.
func (s *Server) foreign(own *stream, numbers []string, found []*chunk) bool {
	var unknown []string
	for i, c := range found {
		if c == nil {
			unknown = append(unknown, numbers[i])
		}
	}
	if len(unknown) == 0 {
		return false
	}
	s.mu.Lock()
	others := make([]*stream, 0, len(s.streams))
	for _, st := range s.streams {
		if st != own {
			others = append(others, st)
		}
	}
	s.mu.Unlock()
	mine := own.has(unknown)
	for _, st := range others {
		for i, theirs := range st.has(unknown) {
			if theirs && !mine[i] {
				return true
			}
		}
	}
	return false
}

// has reports for each number whether a chunk of the stream has it: stored or not, expired or in the future.
func (st *stream) has(numbers []string) []bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	known := make(map[string]bool, len(st.chunks))
	for _, c := range st.chunks {
		known[payload.PlainNumber(c.number)] = true
	}
	has := make([]bool, len(numbers))
	for i, number := range numbers {
		has[i] = known[payload.PlainNumber(number)]
	}
	return has
}

func (s *Server) sendArchived(x *exchange, number string, c *chunk) error {
	if s.lacks(x, number) || c == nil {
		_, err := x.w.Write(errorChunk(number, notFoundID, ""))
		return err
	}
	return c.writeArchived(x.w)
}
