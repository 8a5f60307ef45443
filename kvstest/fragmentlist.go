package kvstest

import (
	"fmt"
	"net/http"
	"slices"
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
	if slices.ContainsFunc(in.Fragments, func(number string) bool { return !fragmentNumberForm.valid(number) }) {
		return errInvalidArgument("Fragments must be " + fragmentNumberForm.text)
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
		err := s.sendArchived(x, number, found[i])
		if err == nil {
			err = flush()
		}
		if err != nil {
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
		if c.stored() && !c.whole.After(now) {
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
	if !slices.Contains(found, nil) {
		return false
	}
	var unknown []string
	mine := own.numbers()
	for i, c := range found {
		if number := payload.PlainNumber(numbers[i]); c == nil && !mine[number] {
			unknown = append(unknown, number)
		}
	}
	for _, st := range s.streamsAfter("", "") {
		theirs := st.numbers()
		if st != own && slices.ContainsFunc(unknown, func(number string) bool { return theirs[number] }) {
			return true
		}
	}
	return false
}

// numbers returns the number of each chunk of the stream: stored or not, expired or in the future.
func (st *stream) numbers() map[string]bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	numbers := make(map[string]bool, len(st.chunks))
	for _, c := range st.chunks {
		numbers[payload.PlainNumber(c.number)] = true
	}
	return numbers
}

func (s *Server) sendArchived(x *exchange, number string, c *chunk) error {
	if s.lacks(x, number) || c == nil {
		_, err := x.w.Write(errorChunk(number, notFoundID, ""))
		return err
	}
	return c.writeArchived(x.w)
}
