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
	// Guessed is an object that has other bytes than expected, and that both records mark as guessed in part.
	Guessed Kind = "guessed"
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
// own manifests, in order. Each thing that is wrong is one finding.
func Compare(got, want Stored) []Finding {
	c := comparison{found: map[string]Finding{}, guessed: map[string]bool{}}
	for key, o := range want {
		if isPart(key) {
			c.lines(key, got[key].Lines, o.Lines)
		}
	}
	names := map[string]string{}
	for key, o := range want {
		names[o.SHA256] = key
		switch have, there := got[key]; {
		case isPart(key):
		case !there:
			c.report(Lost, key, "the object is not there")
		case c.guessed[key]: // is reported
		case have.SHA256 != o.SHA256:
			c.report(Changed, key, "the object has other bytes")
		}
	}
	for key, o := range got {
		_, wanted := want[key]
		switch name, known := names[o.SHA256]; {
		case wanted:
		case isPart(key):
			c.lines(key, o.Lines, nil)
		case isUnfinished(key):
			c.report(Unfinished, key, "the file is still there")
		case known:
			c.report(Duplicated, key, "the object is that of "+name)
		default:
			c.report(Duplicated, key, "nothing asked for the object")
		}
	}
	c.check(got)
	return slices.SortedFunc(maps.Values(c.found), func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
}

// comparison is the state of Compare.
type comparison struct {
	found map[string]Finding
	// guessed are the keys of objects whose records differ in nothing but a guess.
	guessed map[string]bool
}

// report adds a finding, once.
func (c *comparison) report(k Kind, key, what string) {
	id := string(k) + " " + key
	if isPart(key) {
		id += " " + what // a part has many things that may be wrong
	}
	if _, known := c.found[id]; !known {
		c.found[id] = Finding{k, key, what}
	}
}

// lines reports the lines of a part that are not there, or too often.
func (c *comparison) lines(part string, got, want []string) {
	missing := map[string]int{}
	for _, line := range want {
		missing[line]++
	}
	var more []string
	for _, line := range got {
		if missing[line]--; missing[line] < 0 {
			more = append(more, line)
		}
	}
	guesses := map[string]string{} // what is missing, by its part that does not depend on a guess
	for line, n := range missing {
		if n > 0 {
			_, rest, _ := withoutGuess(line)
			guesses[rest] = line
		}
	}
	for _, line := range more {
		key, rest, guess := withoutGuess(line)
		if _, expected := guesses[rest]; guess && expected {
			c.guessed[key] = true
			delete(guesses, rest)
			c.report(Guessed, key, "the object has other guesses")
		} else {
			c.report(Duplicated, part, line)
		}
	}
	for _, line := range guesses {
		c.report(Lost, part, line)
	}
}

// withoutGuess returns the key of a record, and the record without what depends on a guess. guess reports whether the record marks its image
// as guessed in part.
func withoutGuess(text string) (key, rest string, guess bool) {
	var record map[string]any
	if json.Unmarshal([]byte(text), &record) != nil {
		return "", text, false
	}
	key, _ = record["key"].(string)
	guess = record["concealed"] == true
	delete(record, "bytes")
	delete(record, "sha256")
	return key, fmt.Sprint(record), guess
}

// line is what a record of a manifest and one of a ledger have. The one has a key, the other a reason.
type line struct {
	Stream   string `json:"stream"`
	Sink     string `json:"sink"`
	Fragment string `json:"fragment_number"`
	Index    int    `json:"frame_index"`
	Key      string `json:"key"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
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
func (c *comparison) check(s Stored) {
	recorded := map[frame]bool{}
	for _, part := range slices.Sorted(maps.Keys(s)) {
		for _, text := range s[part].Lines {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil || (l.Key == "") == (l.Reason == "") {
				c.report(Changed, part, text)
				continue
			}
			if l.Reason != "" {
				continue
			}
			f := frame{l.Stream, l.Sink, l.Fragment, l.Index}
			if recorded[f] {
				c.report(Duplicated, part, text)
			}
			recorded[f] = true
			switch image, there := s[l.Key]; {
			case !there:
				c.report(Lost, l.Key, "the object is not there")
			case image.Size == l.Bytes && image.SHA256 == l.SHA256: // and it may be an array by itself
			case image.Inside != nil:
				if size, there := image.Inside[l.SHA256]; !there || size != l.Bytes {
					c.report(Lost, l.Key, "the object does not hold "+text)
				}
			case image.PNG != nil:
				if !onSheet(image.PNG, l.Width, l.Height, l.SHA256) {
					c.report(Lost, l.Key, "the sheet does not show "+text)
				}
			default:
				c.report(Changed, l.Key, "the object has other bytes")
			}
		}
	}
}
