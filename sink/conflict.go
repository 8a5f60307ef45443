package sink

import (
	"fmt"

	"github.com/kvsframes/kvsframes/setting"
)

// Conflicts returns a problem for every template that could write the same key as
// one before it, or a key that is a folder of the other's, and for every sink that is
// called like one before it. Each is a *setting.Error at the later sink, with a
// path such as [1].path, and names the first sink that is in the way.
//
// It compares the patterns and knows no values: a stream may be called anything,
// so that what cannot meet in practice is refused when the patterns allow it;
// {sink} in both paths always settles it. Only where one key would be a folder of
// another is a stream taken not to be called like a literal or a number: the store
// refuses such a key, and nothing is lost. Symbolic links between directories are
// not seen.
func Conflicts(sinks []Config) []error {
	var p setting.Problems
	var writers []writer
	named := map[string]bool{}
	places := map[string]*keyspace{}
	for i, c := range sinks {
		if named[c.Name] {
			p.Add(fmt.Sprintf("[%d].name", i), "another sink is called %q too", c.Name)
		}
		named[c.Name] = true
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

// writer is one template of one sink and where its keys go.
type writer struct {
	field, sink, what string
	// place names the file system or the bucket.
	place string
	// pattern is the shape of the keys, from the place on.
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
	if t, err := ParseManifestPath(c.Manifest.Path); err == nil && c.Manifest.Format != ManifestNone {
		out = append(out, writer{
			field: fmt.Sprintf("[%d].manifest.path", index), sink: c.Name, what: "manifest.path", place: place,
			pattern: c.pattern(folders, t),
		})
	}
	return out
}

// problem states how two writers can get into each other's way. folder reports that one's
// key could be a folder of the other's.
func (w writer) problem(other writer, folder bool) string {
	whose := fmt.Sprintf("the %s of sink %q", other.what, other.sink)
	if other.sink == w.sink {
		whose = "the sink's own " + other.what
	}
	if folder {
		return "could give a key that is a folder of " + whose + ", or the other way round; put {sink} into both, or another folder"
	}
	return "could give the same key as " + whose + "; put {sink} into both, or another folder"
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// tokenBytes are the bytes that a token's value is made of; all others' values
// can be anything.
var tokenBytes = map[token]string{
	tokenFragment:     digits + unknown,
	tokenFrame:        digits,
	tokenProducerTime: digits + "TZ_-" + unknown,
	tokenServerTime:   digits + "TZ_-" + unknown,
	tokenPTS:          digits + "-",
	tokenWidth:        digits,
	tokenHeight:       digits,
	tokenExt:          digits + letters,
	tokenHash:         digits + "abcdef",
}

// pattern is the shape of all keys of a template, folders included.
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
