package sink

import (
	"fmt"

	"github.com/kvsframes/kvsframes/setting"
)

// Conflicts returns a problem for every template that could produce the same key as an earlier one, or a
// key that is a folder of another key, and for every sink with the name of an earlier one. Each problem is
// a *setting.Error at the later sink, with a path such as [1].path, and names the first conflicting sink.
//
// Conflicts compares patterns, not values: a stream may have any name, so Conflicts rejects keys that the
// patterns allow to collide, even if they never do in practice. {sink} in both paths always resolves the
// conflict. Only for folders does Conflicts assume that no stream is named like a literal or a number: the
// store rejects such a key, and nothing is lost. Symbolic links between directories are not followed.
func Conflicts(sinks []Config) []error {
	var p setting.Problems
	var writers []writer
	named := map[string]bool{}
	places := map[string]*keyspace{}
	appends := ""
	for i, c := range sinks {
		if named[c.Name] {
			p.Add(fmt.Sprintf("[%d].name", i), "another sink is also called %q", c.Name)
			continue // its keys are compared when it has a name of its own
		}
		named[c.Name] = true
		if c.Destination.Appends() {
			if appends != "" {
				p.Add(fmt.Sprintf("[%d].destination.type", i), "sink %q writes to standard output already, and one can", appends)
			}
			appends = c.Name
			continue
		}
		for _, w := range c.writers(i) {
			k := places[w.place]
			if k == nil {
				k = newKeyspace()
				places[w.place] = k
			}
			if first, folder := k.meets(w.pattern); first != none {
				p.Add(w.field, "%s", w.problem(writers[first], folder))
			}
			k.insert(w.pattern, len(writers))
			writers = append(writers, w)
		}
	}
	return p
}

// writer is one template of one sink, with the destination of its keys.
type writer struct {
	field, sink, what string
	// place names the file system or the bucket.
	place string
	// pattern is the shape of the keys, relative to the place.
	pattern []element
}

func (c Config) writers(index int) []writer {
	if c.Destination.Location == nil {
		return nil
	}
	place, folders := c.Destination.Location.Place()
	var out []writer
	if t, err := ParsePath(c.Path); err == nil {
		out = append(out, writer{
			field: fmt.Sprintf("[%d].path", index), sink: c.Name, what: "path", place: place,
			pattern: c.pattern(folders, t),
		})
	}
	if c.Groups != nil {
		for _, ext := range c.Groups.Layout.Beside() {
			if t, err := ParsePath(c.Groups.besidePath(c.Path, ext)); err == nil {
				out = append(out, writer{
					field: fmt.Sprintf("[%d].path", index), sink: c.Name, what: ext + " files", place: place, pattern: c.pattern(folders, t),
				})
			}
		}
	}
	for name, path := range c.parts() {
		if t, err := ParseManifestPath(path); err == nil {
			out = append(out, writer{
				field: fmt.Sprintf("[%d].%s", index, name), sink: c.Name, what: name, place: place,
				pattern: c.pattern(folders, t),
			})
		}
	}
	return out
}

// problem describes how the keys of two writers can collide. folder reports whether one key could be a
// folder of the other, rather than equal to it.
func (w writer) problem(other writer, folder bool) string {
	whose := fmt.Sprintf("the %s of sink %q", other.what, other.sink)
	if other.sink == w.sink {
		whose = "the sink's own " + other.what
	}
	if folder {
		return "could give a key that is a folder of " + whose + ", or the other way round; put {sink} or different folders into the paths"
	}
	return "could give the same key as " + whose + "; put {sink} or different folders into the paths"
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// tokenBytes holds the bytes that the value of a token consists of. Tokens that it lacks can have any value.
var tokenBytes = map[token]string{
	tokenFragment:     digits + unknown + "-" + afterPart + endPart + repairedPart,
	tokenFrame:        digits,
	tokenProducerTime: digits + "TZ_-" + unknown,
	tokenServerTime:   digits + "TZ_-" + unknown,
	tokenDate:         digits + "-" + unknown,
	tokenHour:         digits + unknown,
	tokenPTS:          digits + "-",
	tokenWidth:        digits,
	tokenHeight:       digits,
	tokenExt:          digits + letters,
	tokenHash:         digits + "abcdef",
}

// pattern returns the shape of all keys of a template, with the folders.
func (c Config) pattern(folders []string, t *Template) []element {
	var elements []element
	for _, folder := range folders {
		elements = append(literal(elements, folder), separator)
	}
	for i, segment := range t.segments {
		if i > 0 {
			elements = append(elements, separator)
		}
		for _, p := range segment {
			switch {
			case p.token == "":
				elements = literal(elements, p.literal)
			case p.token == tokenSink:
				elements = literal(elements, c.Name)
			case p.token == tokenExt && c.Ext != "":
				elements = literal(elements, c.Ext)
			default:
				elements = wildcard(elements, tokenBytes[p.token])
			}
		}
	}
	return elements
}
