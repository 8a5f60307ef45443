package kvstest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// FaultKind is the kind of a fault.
type FaultKind string

// The kinds of faults.
const (
	// FaultCut closes the connection after Bytes of the answer's body, or after the time After; with Clean the
	// answer ends there as if it were complete.
	FaultCut FaultKind = "cut"
	// FaultStall stops sending after Bytes or After, for the time For; 0 means until the client disconnects.
	// The connection stays open.
	FaultStall FaultKind = "stall"
	// FaultSlow sends at most Rate bytes a second, and nothing before Delay.
	FaultSlow FaultKind = "slow"
	// FaultCorrupt inverts Length bytes from Bytes on; 0 means one byte.
	FaultCorrupt FaultKind = "corrupt"
	// FaultIdle makes a GetMedia session find no more fragments after Fragments: it ends cleanly after the time
	// For; 0 means Options.IdleEnd.
	FaultIdle FaultKind = "idle"
	// FaultTag sends a chunk with the error ID and Code in place of the fragment
	// that follows the first Fragments of a GetMedia session, and ends the session;
	// with Skip the session continues with the fragment after that one.
	FaultTag FaultKind = "tag"
	// FaultMissing hides the fragment with the number Fragment, or each with the
	// probability P. GetMediaForFragmentList answers the first Tries requests for it (0
	// means all) with an error chunk; ListFragments and GetMedia omit it. With Code the
	// whole call is refused, with that code.
	FaultMissing FaultKind = "missing"
	// FaultThrottle refuses with ClientLimitExceededException.
	FaultThrottle FaultKind = "throttle"
	// FaultConnections refuses with ConnectionLimitExceededException.
	FaultConnections FaultKind = "connections"
	// FaultEndpoint refuses the data plane of the stream with
	// InvalidEndpointException until GetDataEndpoint is called.
	FaultEndpoint FaultKind = "endpoint"
	// FaultMove moves the stream's data endpoint to another path of this server. From
	// then on the old one answers with InvalidEndpointException.
	FaultMove FaultKind = "move"
	// FaultToken expires the credentials of the call: that call and all later calls in scope with the same
	// access key and security token are refused with Code: NotAuthorizedException (also for "") or
	// ExpiredTokenException.
	FaultToken FaultKind = "token"
	// FaultHTTP answers with Status, 0 means 500, and Code.
	FaultHTTP FaultKind = "http"
	// FaultXML answers with HTTP 403 and XML, as AWS does when the host is wrong.
	FaultXML FaultKind = "xml"
)

// Fault is a deliberate failure. Stream and Op are its scope. The calls in scope are counted from SetFaults on,
// separately for each stream. Random choices depend only on Seed and the stream's name.
type Fault struct {
	Kind FaultKind
	// Label names the fault in the log and in Fired; "" means the kind.
	Label string

	// Stream is the name of a stream; "" and "*" are all.
	Stream string
	// Op is an operation such as "GetMedia"; "" is every operation that the kind affects by default, "*"
	// every one that it can affect.
	Op string
	// At most one of these three is set. Nth affects only that call, counted from 1. Every affects each
	// multiple of it, P each call with that probability. Without any of them all calls are affected, except
	// that FaultEndpoint and FaultToken affect only the first.
	Nth, Every int
	P          float64
	// Count is the largest number of affected calls of a stream; 0 means no limit.
	Count int
	Seed  uint64

	// Bytes is an offset in the body of the answer. With BytesMax it is chosen at random for each call, from
	// Bytes up to BytesMax.
	Bytes, BytesMax int64
	// After is a time since the arrival of the call.
	After time.Duration
	// For is how long a stall or an idle time lasts.
	For time.Duration
	// Clean ends the answer without an error.
	Clean bool
	// Length is a number of bytes.
	Length int
	// Rate is in bytes a second.
	Rate int64
	// Delay is the time before the answer.
	Delay time.Duration
	// Fragments is how many fragments are sent first.
	Fragments int
	// ID is the number of an error tag. Code is the name of the error: that of the tag, where "" means the name
	// of the ID, or that of the refusal.
	ID   int
	Code string
	// Skip continues after the error tag.
	Skip bool
	// Fragment is a fragment number; "" and "*" are all.
	Fragment string
	Tries    int
	// Status is the HTTP status of an answer.
	Status int
}

// label returns the name of the fault.
func (f Fault) label() string { return cmp.Or(f.Label, string(f.Kind)) }

// normal sets unset fields to the defaults of the kind.
func (f Fault) normal() Fault {
	if (f.Kind == FaultEndpoint || f.Kind == FaultToken) && f.Nth == 0 && f.Every == 0 && f.P == 0 && f.Count == 0 {
		f.Nth = 1
	}
	return f
}

// covers reports whether an operation on a stream is in the fault's scope.
func (f Fault) covers(op, stream string) bool {
	if f.Stream != "" && f.Stream != "*" && f.Stream != stream {
		return false
	}
	switch f.Op {
	case "":
		return slices.Contains(faultForms[f.Kind].ops, op)
	case "*":
		return slices.Contains(faultForms[f.Kind].possible(), op)
	}
	return f.Op == op
}

// Validate returns all problems of the fault.
func (f Fault) Validate() error {
	form, ok := faultForms[f.Kind]
	if !ok {
		return fmt.Errorf("there is no fault %q%s: the kinds are %s", f.Kind, setting.DidYouMean(string(f.Kind), FaultKind("").Values()), strings.Join(FaultKind("").Values(), ", "))
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if f.Op != "" && f.Op != "*" && !slices.Contains(form.possible(), f.Op) {
		wrong("op %s is not one that %s can affect%s: these are %s", f.Op, f.Kind, setting.DidYouMean(f.Op, form.possible()), strings.Join(form.possible(), ", "))
	}
	if f.Stream != "" && f.Stream != "*" && !streamNameForm.valid(f.Stream) {
		wrong("stream %q is neither * nor the name of a stream", f.Stream)
	}
	allowed := form.allKeys()
	for _, key := range faultKeys {
		if key.get(f) != "" && !slices.Contains(allowed, key.name) {
			wrong("%s takes no %s", f.Kind, key.name)
		}
	}
	if (f.Nth != 0 && f.Every != 0 || (f.Nth != 0 || f.Every != 0) && f.P != 0) && f.Kind != FaultMissing {
		wrong("only one of nth, every and p can be set")
	}
	if f.P < 0 || f.P > 1 || f.P != f.P {
		wrong("p (%v) is not between 0 and 1", f.P)
	}
	if f.BytesMax != 0 && f.BytesMax < f.Bytes {
		wrong("bytes (%d-%d) is not a range", f.Bytes, f.BytesMax)
	}
	for _, key := range faultKeys {
		if strings.HasPrefix(key.get(f), "-") {
			wrong("%s (%s) is negative", key.name, key.get(f))
		}
	}
	return errors.Join(append(problems, f.checkKind())...)
}

// tagCodes are the names of the errors in tags. AWS documents only the numbers (API Reference, GetMedia); the
// names of the KMS errors are this package's.
var tagCodes = map[int]string{
	3000: "FRAGMENT_NOT_FOUND",
	3002: "STREAM_WRITE_ERROR",
	4000: "FRAGMENT_NOT_FOUND",
	4500: "KMS_KEY_ACCESS_DENIED",
	4501: "KMS_KEY_DISABLED",
	4502: "KMS_KEY_VALIDATION_ERROR",
	4503: "KMS_KEY_UNAVAILABLE",
	4504: "KMS_KEY_INVALID_USAGE",
	4505: "KMS_KEY_INVALID_STATE",
	4506: "KMS_KEY_NOT_FOUND",
	5000: "INTERNAL_ERROR",
}
