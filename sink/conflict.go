package sink

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Conflicts returns a problem for every two sinks that could write the same key,
// or of which one could write a key that is a folder of the other's, and for two
// of the same name. Each is a *media.FieldError at the later sink, with a path
// such as [1].path.
//
// It compares the patterns and knows no values: a stream may be called anything,
// so that what cannot meet in practice is refused when the patterns allow it;
// {sink} in both paths always settles it. Only where one key would be a folder of
// another is a stream taken not to be called like a literal or a number: the store
// refuses such a key, and nothing is lost. Symbolic links between directories are
// not seen.
func Conflicts(sinks []Config) []error {
	var p problems
	var before []writer
	for i, c := range sinks {
		for _, other := range sinks[:i] {
			if other.Name == c.Name {
				p.add(fmt.Sprintf("[%d].name", i), "another sink is called %q too", c.Name)
				break
			}
		}
		for _, w := range c.writers(i) {
			for _, other := range before {
				if problem := w.meets(other); problem != "" {
					p.add(w.field, "%s", problem)
				}
			}
			before = append(before, w)
		}
	}
	return p
}

// writer is one template of one sink and where its keys go.
type writer struct {
	field, sink, what string
	// place names the file system or the bucket.
	place string
	// pattern has one element list for each segment, from the place on.
	pattern [][]element
}

func (c Config) writers(index int) []writer {
	place, folders := c.Destination.place()
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

// place returns what two destinations have in common when they can hold the same
// object, and the folders that a key is put into.
func (d Destination) place() (string, []string) {
	if d.Type == DestinationS3 {
		return "s3 " + normalEndpoint(d.EndpointURL) + " " + d.Bucket, split(d.Prefix)
	}
	directory := filepath.Clean(d.Directory)
	if absolute, err := filepath.Abs(directory); err == nil {
		directory = absolute
	}
	return "file", split(filepath.ToSlash(directory))
}

func normalEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimSuffix(u.Path, "/")
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// meets says how two writers can get into each other's way, or "".
func (w writer) meets(other writer) string {
	if w.place != other.place {
		return ""
	}
	whose := fmt.Sprintf("the %s of sink %q", other.what, other.sink)
	if other.sink == w.sink {
		whose = "the sink's own " + other.what
	}
	same := len(w.pattern) == len(other.pattern)
	for i := range min(len(w.pattern), len(other.pattern)) {
		if !intersect(w.pattern[i], other.pattern[i], same) {
			return ""
		}
	}
	if same {
		return "could give the same key as " + whose + "; put {sink} into both, or another folder"
	}
	return "could give a key that is a folder of " + whose + ", or the other way round; put {sink} into both, or another folder"
}

// element is one byte of a key, or any number of them.
type element struct {
	bytes  byteSet
	repeat bool
	name   bool // part of a value that can be anything
}

type byteSet [4]uint64

func (s *byteSet) add(chars string) {
	for i := range len(chars) {
		s[chars[i]>>6] |= 1 << (chars[i] & 63)
	}
}

func (s *byteSet) meets(other *byteSet) bool {
	for i := range s {
		if s[i]&other[i] != 0 {
			return true
		}
	}
	return false
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

// pattern is the shape of all keys of a template.
func (c Config) pattern(folders []string, t *Template) [][]element {
	var out [][]element
	for _, folder := range folders {
		out = append(out, literal(nil, folder))
	}
	for _, segment := range t.segments {
		var elements []element
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
		out = append(out, elements)
	}
	return out
}

func literal(to []element, text string) []element {
	for i := range len(text) {
		var e element
		e.bytes.add(text[i : i+1])
		to = append(to, e)
	}
	return to
}

// wildcard appends one or more bytes of chars, or of any kind.
func wildcard(to []element, chars string) []element {
	var e element
	if e.bytes.add(chars); chars == "" {
		e.name = true
		e.bytes = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	}
	more := e
	more.repeat = true
	return append(to, e, more)
}

// intersect says whether some text fits both patterns: a search over pairs of
// places, each visited once. Unless anyName is set, a name is taken to be made of
// nothing that a literal or a number is.
func intersect(a, b []element, anyName bool) bool {
	seen := make([]bool, (len(a)+1)*(len(b)+1))
	var from func(i, j int) bool
	from = func(i, j int) bool {
		at := i*(len(b)+1) + j
		if seen[at] {
			return false
		}
		seen[at] = true
		if i == len(a) && j == len(b) {
			return true
		}
		if i < len(a) && a[i].repeat && from(i+1, j) || j < len(b) && b[j].repeat && from(i, j+1) {
			return true
		}
		if i == len(a) || j == len(b) || !a[i].bytes.meets(&b[j].bytes) || a[i].name != b[j].name && !anyName {
			return false
		}
		return from(next(a, i), next(b, j))
	}
	return from(0, 0)
}

func next(pattern []element, i int) int {
	if pattern[i].repeat {
		return i
	}
	return i + 1
}
