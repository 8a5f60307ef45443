package kvstest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// fragmentSelector is a range on one of the clocks (API Reference, FragmentSelector).
type fragmentSelector struct {
	FragmentSelectorType string
	TimestampRange       *struct{ StartTimestamp, EndTimestamp *json.Number }
}

// fragmentPage is the content of a NextToken: the range, and the key of the last fragment that was listed.
// Times are in milliseconds since 1970.
type fragmentPage struct {
	Stream, Clock string
	Begin, End    int64
	Key           uint64
	Number        string
}

// Formats and limits of ListFragments (API Reference).
const (
	maxTokenLength       = 4096
	maxFragmentResults   = 1000
	usualFragmentResults = 100
)

// listFragments answers with the fragments whose start is in a range. As in the service, their order has no
// meaning: it is that of a hash of the number, so that clients cannot rely on another order, and pages stay
// correct while fragments arrive.
func (s *Server) listFragments(x *exchange) error {
	var in struct {
		FragmentSelector *fragmentSelector
		MaxResults       int64
		NextToken        *string
	}
	in.MaxResults = usualFragmentResults
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	limit := in.MaxResults
	if limit < 1 || limit > maxFragmentResults {
		return errInvalidArgument(fmt.Sprintf("MaxResults (%d) is not between 1 and %d", limit, maxFragmentResults))
	}
	page, refusal := x.firstPage(in.FragmentSelector, in.NextToken)
	if refusal != nil {
		return refusal
	}
	if refusal := x.archive(); refusal != nil {
		return refusal
	}
	if refusal := x.st.limits.pay(x.op.name, int(limit), time.Now()); refusal != nil {
		return refusal
	}
	found, more := x.st.list(page, int(limit), time.Now(), s.opts.Now())
	out := struct {
		Fragments []fragmentInfo
		NextToken string `json:",omitempty"`
	}{Fragments: []fragmentInfo{}}
	for _, l := range found {
		if !s.lacks(x, l.chunk.number) {
			out.Fragments = append(out.Fragments, infoOf(l.chunk))
		}
	}
	if more {
		page.Key, page.Number = found[len(found)-1].key, found[len(found)-1].chunk.number
		out.NextToken = encodeToken(page)
	}
	return x.answer(out)
}

// archive refuses a request if the stream has no archive.
func (x *exchange) archive() *apiError {
	x.st.mu.Lock()
	defer x.st.mu.Unlock()
	if x.st.retention == 0 {
		return errNoRetention("stream " + x.st.name + " has no data retention")
	}
	return nil
}

// firstPage reads the range of a request, or the content of its token. With a token the selector is ignored.
func (x *exchange) firstPage(sel *fragmentSelector, token *string) (fragmentPage, *apiError) {
	var page fragmentPage
	if token != nil {
		if !decodeToken(*token, maxTokenLength, &page) || page.Stream != x.st.name {
			return page, errInvalidArgument("NextToken is not from ListFragments of this stream")
		}
		return page, nil
	}
	if sel == nil {
		return page, errInvalidArgument("FragmentSelector must be given where there is no NextToken")
	}
	if sel.FragmentSelectorType != clockProducer && sel.FragmentSelectorType != clockServer {
		return page, errInvalidArgument("FragmentSelectorType must be one of " + clockProducer + ", " + clockServer)
	}
	if r := sel.TimestampRange; r == nil || r.StartTimestamp == nil || r.EndTimestamp == nil {
		return page, errInvalidArgument("TimestampRange must be given with StartTimestamp and EndTimestamp")
	}
	begin, ok := parseSeconds(*sel.TimestampRange.StartTimestamp)
	end, ok2 := parseSeconds(*sel.TimestampRange.EndTimestamp)
	switch {
	case !ok || !ok2:
		return page, errInvalidArgument("StartTimestamp and EndTimestamp must be numbers of seconds since 1970")
	case end.Before(begin):
		return page, errInvalidArgument("EndTimestamp is before StartTimestamp")
	}
	return fragmentPage{Stream: x.st.name, Clock: sel.FragmentSelectorType, Begin: begin.UnixMilli(), End: end.UnixMilli()}, nil
}

// listed is a fragment with its key in the list.
type listed struct {
	chunk *chunk
	key   uint64
}

func (l listed) compare(m listed) int {
	return cmp.Or(cmp.Compare(l.key, m.key), media.CompareNumbers(l.chunk.number, m.chunk.number))
}

// list returns the fragments of a page, and whether there are more after them. now is the current time, kept
// the current time by the clock of retention.
func (st *stream) list(page fragmentPage, limit int, now, kept time.Time) (found []listed, more bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	clock := (*chunk).serverTime
	if page.Clock == clockProducer {
		clock = (*chunk).producerTime
	}
	last := listed{&chunk{number: page.Number}, page.Key}
	chunks, _ := st.kept(kept)
	for _, c := range chunks {
		begin := clock(c)
		if !c.stored() || c.whole.After(now) || begin.IsZero() || begin.UnixMilli() < page.Begin || begin.UnixMilli() > page.End {
			continue
		}
		l := listed{c, hash64(st.name, c.number)}
		if page.Number == "" || l.compare(last) > 0 {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, listed.compare)
	if len(found) > limit {
		return found[:limit], true
	}
	return found, false
}

// fragmentInfo is a fragment in a list (API Reference, Fragment).
type fragmentInfo struct {
	FragmentNumber                     string
	FragmentSizeInBytes                int
	ProducerTimestamp, ServerTimestamp json.Number
	FragmentLengthInMilliseconds       int64
}

func infoOf(c *chunk) fragmentInfo {
	return fragmentInfo{
		FragmentNumber:               c.number,
		FragmentSizeInBytes:          c.archivedSize(),
		ProducerTimestamp:            seconds(c.producer),
		ServerTimestamp:              seconds(c.server),
		FragmentLengthInMilliseconds: c.length.Milliseconds(),
	}
}

// seconds formats a time for answers: seconds since 1970, with milliseconds.
func seconds(t time.Time) json.Number {
	if t.IsZero() {
		return "0"
	}
	return json.Number(formatStamp(t))
}

// encodeToken returns a token with the content page.
func encodeToken(page any) string {
	text, err := json.Marshal(page)
	if err != nil {
		panic(err) // a struct of strings and numbers always marshals
	}
	return base64.StdEncoding.EncodeToString(text)
}

// decodeToken reads a token of encodeToken. It returns false for any other token.
func decodeToken(token string, longest int, page any) bool {
	if len(token) > longest {
		return false
	}
	text, err := base64.StdEncoding.DecodeString(token)
	return err == nil && json.Unmarshal(text, page) == nil
}
