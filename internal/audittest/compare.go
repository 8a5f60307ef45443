package audittest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is the kind of a finding.
type Kind string

// The kinds of findings.
const (
	// Lost is an object, a record or a gap that is not there.
	Lost Kind = "lost"
	// Duplicated is one that is there beside the one that is expected.
	Duplicated Kind = "duplicated"
	// Changed is an object that has other bytes than expected.
	Changed Kind = "changed"
	// Unfinished is a file that no run completed or removed.
	Unfinished Kind = "unfinished"
)

// Finding is a difference between what is stored and what should be.
type Finding struct {
	Kind Kind
	Key  string
	What string
}

// String returns the finding in one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Key, f.What) }

// Count returns the number of findings of a kind.
func Count(all []Finding, k Kind) int {
	n := 0
	for _, f := range all {
		if f.Kind == k {
			n++
		}
	}
	return n
}

// Compare returns all differences between what is stored and what an undisturbed run stores, and all between the stored objects and their
// own manifests and ledgers, in order. Each thing that is wrong is one finding.
func Compare(got, want Stored) []Finding {
	found := map[string]Finding{}
	report := func(k Kind, key, what string) {
		id := string(k) + " " + key
		if isPart(key) {
			id += " " + what // a part has many things that may be wrong
		}
		if _, known := found[id]; !known {
			found[id] = Finding{k, key, what}
		}
	}
	names := map[string]string{}
	for key, o := range want {
		names[o.SHA256] = key
		have, there := got[key]
		switch {
		case isPart(key):
			compareLines(have.Lines, o.Lines, func(k Kind, line string) { report(k, key, line) })
		case !there:
			report(Lost, key, "the object is not there")
		case have.SHA256 != o.SHA256:
			report(Changed, key, "the object has other bytes")
		}
	}
	for key, o := range got {
		_, wanted := want[key]
		switch name, known := names[o.SHA256]; {
		case wanted:
		case isPart(key):
			compareLines(o.Lines, nil, func(k Kind, line string) { report(k, key, line) })
		case isUnfinished(key):
			report(Unfinished, key, "the file is still there")
		case known:
			report(Duplicated, key, "the object is that of "+name)
		default:
			report(Duplicated, key, "nothing asked for the object")
		}
	}
	got.check(report)
	return slices.SortedFunc(maps.Values(found), func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
}

// compareLines reports the lines of a part that are not there, or too often.
func compareLines(got, want []string, report func(k Kind, line string)) {
	count := map[string]int{}
	for _, line := range want {
		count[line]++
	}
	for _, line := range got {
		if count[line]--; count[line] < 0 {
			report(Duplicated, line)
		}
	}
	for line, n := range count {
		if n > 0 {
			report(Lost, line)
		}
	}
}

// line is what a record of a manifest and one of a ledger have. The one has a key, the other a reason.
type line struct {
	Stream   string `json:"stream"`
	Sink     string `json:"sink"`
	Fragment string `json:"fragment_number"`
	Index    int    `json:"frame_index"`
	Key      string `json:"key"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Reason   string `json:"reason"`
}

// frame names an image of a sink.
type frame struct {
	stream, sink, fragment string
	index                  int
}

// check compares the objects with their own manifests: each image has one record, which is true.
func (s Stored) check(report func(k Kind, key, what string)) {
	recorded := map[frame]bool{}
	for _, part := range slices.Sorted(maps.Keys(s)) {
		for _, text := range s[part].Lines {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil || (l.Key == "") == (l.Reason == "") {
				report(Changed, part, text)
				continue
			}
			if l.Reason != "" {
				continue
			}
			f := frame{l.Stream, l.Sink, l.Fragment, l.Index}
			if recorded[f] {
				report(Duplicated, part, text)
			}
			recorded[f] = true
			switch image, there := s[l.Key]; {
			case !there:
				report(Lost, l.Key, "the object is not there")
			case image.Size != l.Bytes || image.SHA256 != l.SHA256:
				report(Changed, l.Key, "the object has other bytes")
			}
		}
	}
}
