package kvstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// faults holds the faults of a server and their state.
type faults struct {
	mu    sync.Mutex
	armed []*armed
	fired map[string]int
	moves int
}

// armed is a fault with its state. The lock of faults guards it.
type armed struct {
	Fault
	// scopes holds the counts of each stream.
	scopes map[string]*scope
	// expired are the credentials that have expired.
	expired map[string]bool
	// asked counts the requests for each fragment.
	asked map[string]int
}

type scope struct {
	calls, hits int
	random      *rand.Rand
}

// maxFaultMemory limits the credentials and fragments that a fault records.
const maxFaultMemory = 100_000

// SetFaults replaces the server's faults and resets all counts. It may be called at any time; answers in
// progress keep their faults. If a fault is not valid, SetFaults returns an error and changes nothing.
func (s *Server) SetFaults(all []Fault) error {
	var problems []error
	next := make([]*armed, 0, len(all))
	for _, f := range all {
		if err := f.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("fault %s: %w", f, err))
		}
		next = append(next, &armed{Fault: f.normal(), scopes: map[string]*scope{}, expired: map[string]bool{}, asked: map[string]int{}})
	}
	if len(problems) > 0 {
		return fmt.Errorf("set faults: %w", errors.Join(problems...))
	}
	s.faults.mu.Lock()
	s.faults.armed = next
	s.faults.fired = map[string]int{}
	s.faults.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		st.grantEndpoint()
	}
	return nil
}

// Fired returns how often the faults of each label took effect since SetFaults.
func (s *Server) Fired() map[string]int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return maps.Clone(s.faults.fired)
}

// fire counts and logs that a fault took effect.
func (s *Server) fire(f *armed, x *exchange) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.fireLocked(f, x)
}

func (s *Server) fireLocked(f *armed, x *exchange) {
	s.faults.fired[f.label()]++
	s.opts.Log.Info("fault fired", "fault", f.label(), "stream", x.streamName(), "operation", x.op.name)
}

// streamName returns the name of the stream of a request, "" for none.
func (x *exchange) streamName() string {
	if x.st == nil {
		return ""
	}
	return x.st.name
}

// plan holds the faults of one answer.
type plan struct {
	// marks are the faults at offsets in the body.
	marks []*mark
	// delay is the time before the answer, rate the most that it sends in bytes a second; 0 means no limit.
	delay time.Duration
	rate  int64
	// cut ends the answer at cutAt; nil when nothing does.
	cut   *cutError
	cutAt time.Time
	// idle, tag and missing apply to the operations that send fragments.
	idle, tag, missing []*armed
}

// cutError ends an answer early.
type cutError struct{ fault *armed }

// Error implements error.
func (e *cutError) Error() string { return "cut by the fault " + e.fault.label() }

// errCleanEnd matches a cut that the client cannot notice.
var errCleanEnd = errors.New("ended as if it were whole")

// Is makes errors.Is match errCleanEnd for a clean cut.
func (e *cutError) Is(target error) bool { return target == errCleanEnd && e.fault.Clean }

// meet applies each fault in scope to a request: it refuses the request, or adds to the plan of its answer.
func (f *faults) meet(s *Server, x *exchange) *apiError {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, a := range f.armed {
		if !a.covers(x.op.name, x.streamName()) {
			continue
		}
		var refusal *apiError
		switch {
		case a.Kind == FaultMissing:
			x.plan.missing = append(x.plan.missing, a)
		case a.Kind == FaultToken:
			refusal = a.checkToken(x)
		case a.hits(x.streamName()):
			if refusal = a.refusal(); refusal == nil {
				x.plan.add(s, x, a, now)
			}
		}
		if refusal != nil {
			s.fireLocked(a, x)
			return refusal
		}
	}
	return nil
}

// hits counts a call and reports whether the fault affects it.
func (a *armed) hits(stream string) bool {
	sc := a.scopes[stream]
	if sc == nil {
		sc = &scope{random: rand.New(rand.NewPCG(a.Seed, hash64(stream)))}
		a.scopes[stream] = sc
	}
	sc.calls++
	hit := true
	switch {
	case a.Nth != 0:
		hit = sc.calls == a.Nth
	case a.Every != 0:
		hit = sc.calls%a.Every == 0
	case a.P != 0:
		hit = sc.random.Float64() < a.P
	}
	if !hit || a.Count != 0 && sc.hits >= a.Count {
		return false
	}
	sc.hits++
	return true
}

// offset returns the offset of the fault in the body, chosen for each call.
func (a *armed) offset(stream string) int64 {
	if a.BytesMax <= a.Bytes {
		return a.Bytes
	}
	return a.Bytes + a.scopes[stream].random.Int64N(a.BytesMax-a.Bytes+1)
}

func hash64(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

const (
	codeNotAuthorized = "NotAuthorizedException"
	codeExpiredToken  = "ExpiredTokenException"
)

// checkToken refuses credentials that have expired, or that the fault expires now.
func (a *armed) checkToken(x *exchange) *apiError {
	auth, _ := parseAuthorization(x.r.Header.Get("Authorization")) // verified
	identity := auth.accessKey + "\n" + x.r.Header.Get("X-Amz-Security-Token")
	if !a.expired[identity] {
		if !a.hits(x.streamName()) || len(a.expired) >= maxFaultMemory {
			return nil
		}
		a.expired[identity] = true
	}
	status := http.StatusUnauthorized
	if a.Code == codeExpiredToken {
		status = http.StatusForbidden
	}
	return &apiError{status: status, code: cmp.Or(a.Code, codeNotAuthorized), message: "the security token included in the request is expired"}
}

// refusal returns the answer of a fault that refuses, nil for other kinds.
func (a *armed) refusal() *apiError {
	switch a.Kind {
	case FaultThrottle:
		return errClientLimit("too many calls: the fault " + a.label())
	case FaultConnections:
		return errConnectionLimit("too many connections: the fault " + a.label())
	case FaultHTTP:
		status := cmp.Or(a.Status, http.StatusInternalServerError)
		code := "InternalFailure"
		if status == http.StatusServiceUnavailable {
			code = "ServiceUnavailable"
		}
		return &apiError{status: status, code: cmp.Or(a.Code, code), message: "the fault " + a.label()}
	case FaultXML:
		return &apiError{status: http.StatusForbidden, code: "AccessDeniedException", message: "Unable to determine service/operation name to be authorized", xml: true}
	}
	return nil
}

// add applies a fault at once, or adds it to the plan of the answer to x.
func (p *plan) add(s *Server, x *exchange, a *armed, now time.Time) {
	m := &mark{fault: a, at: a.offset(x.streamName()), fire: func() { s.fire(a, x) }}
	switch a.Kind {
	case FaultEndpoint:
		s.fireLocked(a, x)
		x.st.change(func() { x.st.refused = true })
	case FaultMove:
		s.fireLocked(a, x)
		s.faults.moves++
		base := movedPrefix + strconv.Itoa(s.faults.moves)
		x.st.change(func() { x.st.base = base })
	case FaultIdle:
		p.idle = append(p.idle, a)
	case FaultTag:
		p.tag = append(p.tag, a)
	case FaultCut:
		if a.After == 0 {
			p.marks = append(p.marks, m)
		} else if at := now.Add(a.After); p.cut == nil || at.Before(p.cutAt) {
			p.cut, p.cutAt = &cutError{a}, at
		}
	case FaultStall:
		if a.After > 0 {
			m.at, m.from = math.MaxInt64, now.Add(a.After)
		}
		p.marks = append(p.marks, m)
	case FaultCorrupt:
		p.marks = append(p.marks, m)
	case FaultSlow:
		p.rate = slower(p.rate, a.Rate)
		p.delay += a.Delay
		s.fireLocked(a, x)
	}
}

// deadline returns the context of the answer, which ends when a fault cuts the answer by time.
func (p *plan) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.cut == nil {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, p.cutAt, p.cut)
}

// lacks reports whether a fault hides the fragment from the answer to x.
func (s *Server) lacks(x *exchange, number string) bool {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, a := range x.plan.missing {
		if a.Code == "" && a.takes(x, number) {
			s.fireLocked(a, x)
			return true
		}
	}
	return false
}

// refusesList returns the refusal of a list of fragments of which a fault hides one.
func (s *Server) refusesList(x *exchange, numbers []string) *apiError {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, a := range x.plan.missing {
		if a.Code == "" || !slices.ContainsFunc(numbers, func(number string) bool { return a.takes(x, number) }) {
			continue
		}
		s.fireLocked(a, x)
		status := http.StatusBadRequest
		if a.Code == "ResourceNotFoundException" {
			status = http.StatusNotFound
		}
		return &apiError{status: status, code: a.Code, message: "the fault " + a.label()}
	}
	return nil
}

// takes reports whether the fault hides a fragment this time.
func (a *armed) takes(x *exchange, number string) bool {
	if a.Fragment != "" && a.Fragment != "*" && media.CompareNumbers(a.Fragment, number) != 0 {
		return false
	}
	if a.P != 0 && float64(hash64(strconv.FormatUint(a.Seed, 10), x.streamName(), number)) >= a.P*math.MaxUint64 {
		return false
	}
	if a.Tries == 0 || x.op.name != opGetMediaForFragmentList {
		return true
	}
	key := x.streamName() + "/" + number
	if len(a.asked) < maxFaultMemory {
		a.asked[key]++
	}
	return a.asked[key] > 0 && a.asked[key] <= a.Tries
}
