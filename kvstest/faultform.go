package kvstest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultForm describes a kind of fault.
type faultForm struct {
	help string
	// ops are the operations that it affects by default, more those that it can also affect.
	ops, more []string
	keys      []string
	// untriggered reports whether the kind accepts no trigger keys.
	untriggered bool
	check       func(Fault) error
}

var (
	payloadOps = []string{opGetMedia, opGetMediaForFragmentList}
	dataOps    = []string{opGetMedia, opPutMedia, opListFragments, opGetMediaForFragmentList}
	controlOps = []string{opCreateStream, opDescribeStream, opListStreams, opGetDataEndpoint}
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
		ops:  payloadOps, more: otherOps, keys: []string{"bytes", "after", "clean"}, check: needsPlace,
	},
	FaultStall: {
		help: "stop sending and keep the connection open",
		ops:  payloadOps, more: otherOps, keys: []string{"bytes", "after", "for"}, check: needsPlace,
	},
	FaultSlow: {
		help: "send slowly, and late",
		ops:  payloadOps, more: otherOps, keys: []string{"rate", "delay"}, check: needsRate,
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
		ops:  []string{opGetMedia}, keys: []string{"id", "code", "fragments", "skip"}, check: needsID,
	},
	FaultMissing: {
		help: "hide fragments, from the first requests for them or from all",
		ops:  []string{opGetMediaForFragmentList}, more: []string{opListFragments, opGetMedia},
		keys: []string{"fragment", "tries", "code"}, untriggered: true, check: checkMissing,
	},
	FaultThrottle:    {help: "refuse with ClientLimitExceededException", ops: allOps},
	FaultConnections: {help: "refuse with ConnectionLimitExceededException", ops: payloadOps, more: []string{opPutMedia}},
	FaultEndpoint:    {help: "refuse with InvalidEndpointException until GetDataEndpoint is called", ops: dataOps},
	FaultMove:        {help: "move the data endpoint to another path; the old one refuses", ops: []string{opGetDataEndpoint}, more: dataOps},
	FaultToken: {
		help: "expire the credentials: refuse until others are used",
		ops:  allOps, keys: []string{"code"}, check: checkToken,
	},
	FaultHTTP: {help: "answer with an HTTP error", ops: allOps, keys: []string{"status", "code"}, check: checkStatus},
	FaultXML:  {help: "answer with the XML of a wrong host", ops: allOps},
}

func kindNames() []string {
	names := make([]string, 0, len(faultForms))
	for kind := range faultForms {
		names = append(names, string(kind))
	}
	slices.Sort(names)
	return names
}

func needsPlace(f Fault) error {
	if f.After != 0 && (f.Bytes != 0 || f.BytesMax != 0) {
		return errors.New("only one of bytes and after can be set")
	}
	return nil
}

func needsRate(f Fault) error {
	if f.Rate == 0 && f.Delay == 0 {
		return errors.New("slow needs rate or delay")
	}
	return nil
}

func needsID(f Fault) error {
	if f.ID == 0 {
		return errors.New("tag needs id, such as 3002")
	}
	return nil
}

func checkMissing(f Fault) error {
	if f.Fragment != "" && f.Fragment != "*" && !fragmentNumberForm.valid(f.Fragment) {
		return fmt.Errorf("fragment %q is neither * nor a fragment number", f.Fragment)
	}
	if f.Tries != 0 && f.Op != "" && f.Op != opGetMediaForFragmentList {
		return fmt.Errorf("tries has no meaning with op=%s", f.Op)
	}
	if f.Code != "" && f.Op != "" && f.Op != opGetMediaForFragmentList {
		return fmt.Errorf("code has no meaning with op=%s", f.Op)
	}
	return nil
}

func checkToken(f Fault) error {
	if f.Code != "" && f.Code != codeNotAuthorized && f.Code != codeExpiredToken {
		return fmt.Errorf("code %s is neither %s nor %s", f.Code, codeNotAuthorized, codeExpiredToken)
	}
	return nil
}

func checkStatus(f Fault) error {
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("status (%d) is not between 400 and 599", f.Status)
	}
	return nil
}

// faultKey is one key of a fault's text.
type faultKey struct {
	name, help string
	set        func(f *Fault, value string) error
	// get returns the value, or "" if it is not set.
	get func(f Fault) string
}

var faultKeys = []faultKey{
	textKey("stream", "NAME: the stream; * is all, and the default", func(f *Fault) *string { return &f.Stream }),
	textKey("op", "OPERATION: the operation; * is all that the kind can affect", func(f *Fault) *string { return &f.Op }),
	textKey("label", "WORD: its name in the log", func(f *Fault) *string { return &f.Label }),
	numberKey("nth", "N: only the Nth call in scope, counted from 1 for each stream", func(f *Fault) *int { return &f.Nth }),
	numberKey("every", "N: each Nth call in scope", func(f *Fault) *int { return &f.Every }),
	numberKey("count", "N: at most N calls of a stream", func(f *Fault) *int { return &f.Count }),
	{
		"p", "P: each call, or each missing fragment, with this probability, 0 to 1",
		func(f *Fault, v string) (err error) { f.P, err = strconv.ParseFloat(v, 64); return err },
		func(f Fault) string { return unless(f.P == 0, strconv.FormatFloat(f.P, 'g', -1, 64)) },
	},
	{
		"seed", "N: the seed of the random choices",
		func(f *Fault, v string) (err error) { f.Seed, err = strconv.ParseUint(v, 10, 64); return err },
		func(f Fault) string { return unless(f.Seed == 0, strconv.FormatUint(f.Seed, 10)) },
	},
	{"bytes", "N or N-M: offset in the answer's body; from a range, random for each call", setBytes, getBytes},
	durationKey("after", "TIME since the call, such as 500ms", func(f *Fault) *time.Duration { return &f.After }),
	durationKey("for", "TIME that it lasts", func(f *Fault) *time.Duration { return &f.For }),
	durationKey("delay", "TIME before the answer", func(f *Fault) *time.Duration { return &f.Delay }),
	switchKey("clean", "end the answer as if it were whole", func(f *Fault) *bool { return &f.Clean }),
	numberKey("length", "N bytes", func(f *Fault) *int { return &f.Length }),
	{
		"rate", "N bytes a second",
		func(f *Fault, v string) (err error) { f.Rate, err = strconv.ParseInt(v, 10, 64); return err },
		func(f Fault) string { return unless(f.Rate == 0, strconv.FormatInt(f.Rate, 10)) },
	},
	numberKey("fragments", "N fragments come first", func(f *Fault) *int { return &f.Fragments }),
	numberKey("id", "N: number of the error tag", func(f *Fault) *int { return &f.ID }),
	textKey("code", "CODE of the error", func(f *Fault) *string { return &f.Code }),
	switchKey("skip", "continue with the fragment after it", func(f *Fault) *bool { return &f.Skip }),
	textKey("fragment", "NUMBER of the fragment; * is all, and the default", func(f *Fault) *string { return &f.Fragment }),
	numberKey("tries", "N: only the first N requests for a fragment", func(f *Fault) *int { return &f.Tries }),
	numberKey("status", "N: HTTP status, 500 by default", func(f *Fault) *int { return &f.Status }),
}

func unless(unset bool, text string) string {
	if unset {
		return ""
	}
	return text
}

func textKey(name, help string, at func(*Fault) *string) faultKey {
	return faultKey{
		name, help,
		func(f *Fault, v string) error { *at(f) = v; return nil },
		func(f Fault) string { return *at(&f) },
	}
}

func numberKey(name, help string, at func(*Fault) *int) faultKey {
	return faultKey{
		name, help,
		func(f *Fault, v string) (err error) { *at(f), err = strconv.Atoi(v); return err },
		func(f Fault) string { return unless(*at(&f) == 0, strconv.Itoa(*at(&f))) },
	}
}

func durationKey(name, help string, at func(*Fault) *time.Duration) faultKey {
	return faultKey{
		name, help,
		func(f *Fault, v string) (err error) { *at(f), err = time.ParseDuration(v); return err },
		func(f Fault) string { return unless(*at(&f) == 0, at(&f).String()) },
	}
}

func switchKey(name, help string, at func(*Fault) *bool) faultKey {
	return faultKey{
		name, help,
		func(f *Fault, v string) (err error) { *at(f), err = strconv.ParseBool(v); return err },
		func(f Fault) string { return unless(!*at(&f), "true") },
	}
}

func setBytes(f *Fault, v string) (err error) {
	low, high, ranged := strings.Cut(v, "-")
	if f.Bytes, err = strconv.ParseInt(low, 10, 64); err != nil || !ranged {
		return err
	}
	f.BytesMax, err = strconv.ParseInt(high, 10, 64)
	return err
}

func getBytes(f Fault) string {
	if f.BytesMax != 0 {
		return fmt.Sprintf("%d-%d", f.Bytes, f.BytesMax)
	}
	return unless(f.Bytes == 0, strconv.FormatInt(f.Bytes, 10))
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
			return f, fmt.Errorf("%s takes no %q%s: its keys are %s", kind, name, didYouMean(name, keys), strings.Join(keys, ", "))
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

// didYouMean returns " (did you mean X?)" for the candidate that word was most likely meant to be, or "" when
// none is near.
func didYouMean(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	if best == "" || len(word) > 64 {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance returns the number of characters to insert, delete or replace between a and b.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
