package kvstest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// faultForm describes a kind of fault.
type faultForm struct {
	help string
	// ops are the operations that it affects by default, more those that it can also affect.
	ops, more []string
	keys      []string
	// untriggered reports whether the kind accepts no trigger keys.
	untriggered bool
}

var (
	payloadOps = []string{opGetMedia, opGetMediaForFragmentList}
	dataOps    = []string{opGetMedia, opPutMedia, opListFragments, opGetMediaForFragmentList}
	controlOps = []string{opCreateStream, opDescribeStream, opDescribeStreamStorage, opListStreams, opGetDataEndpoint}
	otherOps   = slices.Concat([]string{opPutMedia, opListFragments}, controlOps)
	allOps     = slices.Concat(dataOps, controlOps)
)

// possible returns all operations that the kind can affect.
func (f faultForm) possible() []string { return slices.Concat(f.ops, f.more) }

// allKeys returns the keys of the kind and those of all kinds.
func (f faultForm) allKeys() []string {
	keys := slices.Concat(f.keys, []string{"stream", "op", "label", "p", "seed"})
	if !f.untriggered {
		keys = append(keys, "nth", "every", "count")
	}
	return keys
}

var faultForms = map[FaultKind]faultForm{
	FaultCut: {
		help: "break the connection; clean ends the answer instead",
		ops:  payloadOps, more: otherOps, keys: []string{"bytes", "after", "clean"},
	},
	FaultStall: {
		help: "stop sending and keep the connection open",
		ops:  payloadOps, more: otherOps, keys: []string{"bytes", "after", "for"},
	},
	FaultSlow: {
		help: "send slowly, and late",
		ops:  payloadOps, more: otherOps, keys: []string{"rate", "delay"},
	},
	FaultCorrupt: {
		help: "invert bytes of the answer",
		ops:  payloadOps, more: otherOps, keys: []string{"bytes", "length"},
	},
	FaultIdle: {
		help: "find no more fragments: the session ends cleanly after the idle time",
		ops:  []string{opGetMedia}, keys: []string{"fragments", "for"},
	},
	FaultTag: {
		help: "send an error chunk for a fragment and end the session; skip continues",
		ops:  []string{opGetMedia}, keys: []string{"id", "code", "fragments", "skip"},
	},
	FaultMissing: {
		help: "hide fragments, from the first requests for them or from all",
		ops:  []string{opGetMediaForFragmentList}, more: []string{opListFragments, opGetMedia},
		keys: []string{"fragment", "tries", "code"}, untriggered: true,
	},
	FaultThrottle:    {help: "refuse with ClientLimitExceededException", ops: allOps},
	FaultConnections: {help: "refuse with ConnectionLimitExceededException", ops: payloadOps, more: []string{opPutMedia}},
	FaultEndpoint:    {help: "refuse with InvalidEndpointException until GetDataEndpoint is called", ops: dataOps},
	FaultMove:        {help: "move the data endpoint to another path; the old one refuses", ops: []string{opGetDataEndpoint}, more: dataOps},
	FaultToken: {
		help: "expire the credentials: refuse until others are used",
		ops:  allOps, keys: []string{"code"},
	},
	FaultHTTP: {help: "answer with an HTTP error", ops: allOps, keys: []string{"status", "code"}},
	FaultXML:  {help: "answer with the XML of a wrong host", ops: allOps},
}

// Values returns all kinds.
func (FaultKind) Values() []string { return setting.Texts(slices.Sorted(maps.Keys(faultForms))...) }

// checkKind returns what is wrong with the keys of the fault's kind.
func (f Fault) checkKind() error {
	place := f.Kind == FaultCut || f.Kind == FaultStall
	missing := f.Kind == FaultMissing
	elsewhere := missing && f.Op != "" && f.Op != opGetMediaForFragmentList
	switch {
	case place && f.After != 0 && (f.Bytes != 0 || f.BytesMax != 0):
		return errors.New("only one of bytes and after can be set")
	case f.Kind == FaultSlow && f.Rate == 0 && f.Delay == 0:
		return errors.New("slow needs rate or delay")
	case f.Kind == FaultTag && f.ID == 0:
		return errors.New("tag needs id, such as 3002")
	case missing && f.Fragment != "" && f.Fragment != "*" && !fragmentNumberForm.valid(f.Fragment):
		return fmt.Errorf("fragment %q is neither * nor a fragment number", f.Fragment)
	case elsewhere && f.Tries != 0:
		return fmt.Errorf("tries has no meaning with op=%s", f.Op)
	case elsewhere && f.Code != "":
		return fmt.Errorf("code has no meaning with op=%s", f.Op)
	case f.Kind == FaultToken && f.Code != "" && f.Code != codeNotAuthorized && f.Code != codeExpiredToken:
		return fmt.Errorf("code %s is neither %s nor %s", f.Code, codeNotAuthorized, codeExpiredToken)
	case f.Kind == FaultHTTP && f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status (%d) is not between 400 and 599", f.Status)
	}
	return nil
}

// faultKey is one key of a fault's text.
type faultKey struct {
	name, help string
	// field returns the address of the value, or a byteRange.
	field func(f *Fault) any
}

var faultKeys = []faultKey{
	{"stream", "NAME: the stream; * is all, and the default", func(f *Fault) any { return &f.Stream }},
	{"op", "OPERATION: the operation; * is all that the kind can affect", func(f *Fault) any { return &f.Op }},
	{"label", "WORD: its name in the log", func(f *Fault) any { return &f.Label }},
	{"nth", "N: only the Nth call in scope, counted from 1 for each stream", func(f *Fault) any { return &f.Nth }},
	{"every", "N: each Nth call in scope", func(f *Fault) any { return &f.Every }},
	{"count", "N: at most N calls of a stream", func(f *Fault) any { return &f.Count }},
	{"p", "P: each call, or each missing fragment, with this probability, 0 to 1", func(f *Fault) any { return &f.P }},
	{"seed", "N: the seed of the random choices", func(f *Fault) any { return &f.Seed }},
	{"bytes", "N or N-M: offset in the answer's body; from a range, random for each call", func(f *Fault) any { return byteRange{&f.Bytes, &f.BytesMax} }},
	{"after", "TIME since the call, such as 500ms", func(f *Fault) any { return &f.After }},
	{"for", "TIME that it lasts", func(f *Fault) any { return &f.For }},
	{"delay", "TIME before the answer", func(f *Fault) any { return &f.Delay }},
	{"clean", "end the answer as if it were whole", func(f *Fault) any { return &f.Clean }},
	{"length", "N bytes", func(f *Fault) any { return &f.Length }},
	{"rate", "N bytes a second", func(f *Fault) any { return &f.Rate }},
	{"fragments", "N fragments come first", func(f *Fault) any { return &f.Fragments }},
	{"id", "N: number of the error tag", func(f *Fault) any { return &f.ID }},
	{"code", "CODE of the error", func(f *Fault) any { return &f.Code }},
	{"skip", "continue with the fragment after it", func(f *Fault) any { return &f.Skip }},
	{"fragment", "NUMBER of the fragment; * is all, and the default", func(f *Fault) any { return &f.Fragment }},
	{"tries", "N: only the first N requests for a fragment", func(f *Fault) any { return &f.Tries }},
	{"status", "N: HTTP status, 500 by default", func(f *Fault) any { return &f.Status }},
}

// set reads the value of the key.
func (k faultKey) set(f *Fault, text string) (err error) {
	switch field := k.field(f).(type) {
	case *string:
		*field = text
	case *bool:
		*field, err = strconv.ParseBool(text)
	case *int:
		*field, err = strconv.Atoi(text)
	case *int64:
		*field, err = strconv.ParseInt(text, 10, 64)
	case *uint64:
		*field, err = strconv.ParseUint(text, 10, 64)
	case *float64:
		*field, err = strconv.ParseFloat(text, 64)
	case *time.Duration:
		*field, err = time.ParseDuration(text)
	case byteRange:
		err = field.set(text)
	}
	return err
}

// get returns the value as text, or "" if it is not set.
func (k faultKey) get(f Fault) string {
	field := k.field(&f)
	if places, ok := field.(byteRange); ok {
		return places.String()
	}
	value := reflect.ValueOf(field).Elem()
	if value.IsZero() {
		return ""
	}
	return fmt.Sprint(value.Interface())
}

// byteRange is the value of an offset: one number, or a range.
type byteRange struct{ low, high *int64 }

func (r byteRange) set(text string) (err error) {
	low, high, ranged := strings.Cut(text, "-")
	if *r.low, err = strconv.ParseInt(low, 10, 64); err != nil || !ranged {
		return err
	}
	*r.high, err = strconv.ParseInt(high, 10, 64)
	return err
}

// String returns the text that set reads, or "" if nothing is set.
func (r byteRange) String() string {
	switch {
	case *r.high != 0:
		return fmt.Sprintf("%d-%d", *r.low, *r.high)
	case *r.low != 0:
		return strconv.FormatInt(*r.low, 10)
	}
	return ""
}

// ParseFault reads a fault from text: the kind, a colon, and its keys, separated by commas.
//
//	cut:op=GetMedia,bytes=1-200000,every=2,seed=7
//	throttle:stream=cam,count=3
//	missing:p=0.1,tries=2
//
// FaultHelp lists the kinds and keys. A key that is a switch needs no value.
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err == nil {
		err = f.Validate()
	}
	if err != nil {
		return Fault{}, fmt.Errorf("read fault %q: %w", text, err)
	}
	return f, nil
}

func parseFault(text string) (Fault, error) {
	kind, rest, _ := strings.Cut(text, ":")
	f := Fault{Kind: FaultKind(kind)}
	form, ok := faultForms[f.Kind]
	if !ok {
		return f, f.Validate()
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ",") {
		if part == "" && rest == "" {
			break
		}
		name, value, given := strings.Cut(part, "=")
		if !slices.Contains(form.allKeys(), name) {
			keys := slices.Sorted(slices.Values(form.allKeys()))
			return f, fmt.Errorf("%s takes no %q%s: its keys are %s", kind, name, setting.DidYouMean(name, keys), strings.Join(keys, ", "))
		}
		if seen[name] {
			return f, fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		key := faultKeys[slices.IndexFunc(faultKeys, func(k faultKey) bool { return k.name == name })]
		if !given && (name == "clean" || name == "skip") {
			value = "true"
		}
		if err := key.set(&f, value); err != nil {
			return f, fmt.Errorf("%s=%s: the value must be %s", name, value, key.help)
		}
	}
	return f, nil
}

// String returns the text that ParseFault reads.
func (f Fault) String() string {
	var parts []string
	for _, key := range faultKeys {
		if v := key.get(f); v != "" {
			parts = append(parts, key.name+"="+v)
		}
	}
	if len(parts) == 0 {
		return string(f.Kind)
	}
	return string(f.Kind) + ":" + strings.Join(parts, ",")
}

// FaultHelp describes the text that ParseFault reads: each kind with its keys, and the meaning of the keys.
func FaultHelp() string {
	var b strings.Builder
	b.WriteString("A fault is KIND:KEY=VALUE,KEY=VALUE... Its kinds, with their keys:\n")
	for _, kind := range slices.Sorted(maps.Keys(faultForms)) {
		form := faultForms[kind]
		fmt.Fprintf(&b, "  %-12s %s\n", kind, form.help)
		if len(form.keys) > 0 {
			fmt.Fprintf(&b, "  %-12s keys: %s\n", "", strings.Join(form.keys, ", "))
		}
	}
	b.WriteString("All take stream, op, label, p and seed, and all but missing nth, every and count.\nThe keys:\n")
	for _, key := range faultKeys {
		fmt.Fprintf(&b, "  %-12s %s\n", key.name, key.help)
	}
	return b.String()
}
