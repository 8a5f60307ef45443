package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Options says where settings come from.
type Options struct {
	// Path is the file, and its name in messages.
	Path string
	// Reader is read instead of the file when it is not nil.
	Reader io.Reader
	// Environ is the environment as NAME=VALUE, such as os.Environ() returns it.
	// Without it there is none.
	Environ []string
	// Set are flags, KEY=VALUE.
	Set []string
}

// loader is one call of Load.
type loader struct {
	path        string
	env         map[string]string
	interpolate bool
	problems    Problems

	file  layers
	sinks []sinkLayers
	// places are where keys stand that hold other keys, by full path.
	places map[string]position
}

// sinkLayers is what the layers say of one sink.
type sinkLayers struct {
	layers
	at position
}

// Load reads, merges and checks the settings. The error is Problems when the
// settings are wrong, and something else only when the file cannot be read.
func Load(o Options) (*Config, error) {
	l, ok, err := o.layers()
	if err != nil {
		return nil, err
	}
	if !ok { // nothing is known of the settings: no more can be said
		return nil, l.problems.sorted(o.Path)
	}
	c := l.decode()
	l.check(c)
	if len(l.problems) > 0 {
		return nil, l.problems.sorted(o.Path)
	}
	return c, nil
}

// layers reads the layers. ok says that the file is YAML.
func (o Options) layers() (l *loader, ok bool, err error) {
	data, err := o.read()
	if err != nil {
		return nil, false, err
	}
	l = &loader{path: o.Path, env: environment(o.Environ), file: newLayers(), places: map[string]position{}}
	if len(data) > MaxFileSize {
		l.add(position{file: o.Path}, "", "the file is larger than %d bytes", MaxFileSize)
		return l, false, nil
	}
	root, problems := parseYAML(o.Path, data)
	l.problems = append(l.problems, problems...)
	if root != nil {
		l.readFile(root)
	}
	l.readEnvironment(o.Environ)
	l.readFlags(o.Set)
	return l, root != nil, nil
}

// read returns the file, or one byte more than the largest that is allowed.
func (o Options) read() ([]byte, error) {
	r := o.Reader
	if r == nil {
		f, err := os.Open(o.Path)
		if err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return data, nil
}

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

func (l *loader) lookUp(name string) (string, bool) {
	value, ok := l.env[name]
	return value, ok
}

func (l *loader) add(at position, key, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: at.file, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(format, args...)})
}

// readFile sorts the values of the file into layers.
func (l *loader) readFile(root *node) {
	l.interpolate = true
	defer func() { l.interpolate = false }()
	if root.shape != shapeMapping {
		l.add(root.at, "", "want a mapping of keys at the top of the file, not %s", root.shape)
		return
	}
	top := *root
	top.fields = nil
	for _, f := range root.fields {
		if f.key == "sinks" {
			l.places["sinks"] = f.at
			l.readSinks(f.value)
			continue
		}
		top.fields = append(top.fields, f)
	}
	l.mapping(scope{part: fileKeys, to: l.file[layerFile]}, &top, "")
}

func (l *loader) readSinks(n *node) {
	if n.shape == shapeNull {
		return
	}
	if n.shape != shapeList {
		l.add(n.at, "sinks", "want a list of sinks, not %s", n.shape)
		return
	}
	for i, item := range n.items {
		s := sinkLayers{layers: newLayers(), at: item.at}
		l.sinks = append(l.sinks, s)
		prefix := sinkPath(i)
		l.places[prefix] = item.at
		if item.shape != shapeMapping {
			l.add(item.at, prefix, "want a mapping of keys, not %s", item.shape)
			continue
		}
		l.mapping(scope{part: sinkKeys, prefix: prefix, to: s.layers[layerFile]}, item, "")
	}
}

func sinkPath(i int) string { return fmt.Sprintf("sinks[%d]", i) }

// scope is what a mapping is read into.
type scope struct {
	part *part
	// prefix is the full path of the part's root.
	prefix string
	to     layer
}

// mapping reads the fields of n, which stands at path within the scope's part.
func (l *loader) mapping(s scope, n *node, path string) {
	for _, f := range n.fields {
		at := join(path, f.key)
		full := join(s.prefix, at)
		k, isKey := s.part.byPath[at]
		switch {
		case isKey:
			l.leaf(s, k, f.value)
		case f.value.refused:
		case !s.part.mappings[at]:
			l.add(f.at, full, "%s", unknownKey(s, path, f.key))
		case f.value.shape == shapeMapping:
			l.places[full] = f.at
			l.mapping(s, f.value, at)
		case f.value.shape == shapeNull: // a mapping whose keys are all commented out
		default:
			l.add(f.value.at, full, "want a mapping of keys, not %s", f.value.shape)
		}
	}
}

// leaf reads the value of one key.
func (l *loader) leaf(s scope, k *key, n *node) {
	full := join(s.prefix, k.path)
	n = k.simple(n)
	if n.refused || slices.ContainsFunc(n.items, func(item *node) bool { return item.refused }) {
		return
	}
	if k.unavailable {
		if n.shape == shapeMapping && len(n.fields) > 0 || n.shape == shapeList || n.text != "" {
			l.add(n.at, full, "is not available in this version")
		}
		return
	}
	value, err := l.value(k, n)
	if err != nil {
		l.refuse(n, full, err)
		return
	}
	s.to[k.path] = newSetting(value, n)
}

// refuse reports what is wrong with the value n of a key, at the entry if it is one of a list.
func (l *loader) refuse(n *node, full string, err error) {
	var e *entryError
	if errors.As(err, &e) && e.index < len(n.items) {
		l.add(n.items[e.index].at, fmt.Sprintf("%s[%d]", full, e.index), "%v", e.err)
		return
	}
	l.add(n.at, full, "%v", err)
}

func newSetting(value any, n *node) setting {
	s := setting{value: value, at: n.at}
	for _, item := range n.items {
		s.items = append(s.items, item.at)
	}
	return s
}

// value replaces references, where the layer has any, and reads the value.
func (l *loader) value(k *key, n *node) (any, error) {
	if !l.interpolate {
		return k.read(n, false)
	}
	switch n.shape {
	case shapeText:
		text, changed, err := interpolate(n.text, l.lookUp)
		if err != nil {
			return nil, err
		}
		if changed && k.isList() {
			return nil, errors.New("want " + k.wants() + ": a reference stands for one entry, not for the list")
		}
		return k.read(&node{at: n.at, shape: shapeText, text: text}, changed)
	case shapeList:
		return l.list(k, n)
	}
	return k.read(n, false)
}

func (l *loader) list(k *key, n *node) (any, error) {
	copied := *n
	copied.items = make([]*node, len(n.items))
	for i, item := range n.items {
		text, _, err := interpolate(item.text, l.lookUp)
		if err != nil {
			return nil, &entryError{i, err}
		}
		copied.items[i] = &node{at: item.at, shape: item.shape, text: text}
	}
	return k.read(&copied, false)
}

// unknownKey says of a key that is not in the schema what may have been meant.
func unknownKey(s scope, path, name string) string {
	if c, ok := nearest(name, siblings(s, path)); ok {
		return "unknown key (did you mean " + c + "?)"
	}
	var places []string
	for _, where := range []scope{s, {part: fileKeys}, {part: sinkKeys, prefix: "sinks[]"}} {
		for _, p := range where.part.places(name) {
			if full := join(where.prefix, p); len(places) < 3 && !containsPlace(places, full) {
				places = append(places, full)
			}
		}
	}
	if len(places) == 0 {
		return "unknown key"
	}
	return "does not belong here (did you mean " + strings.Join(places, " or ") + "?)"
}

// siblings are the keys that could stand next to one at path.
func siblings(s scope, path string) []string {
	names := s.part.children(path)
	if s.part == fileKeys && path == "" {
		names = append(names, "sinks")
	}
	return names
}

// places returns the paths of all keys and mappings of that name.
func (p *part) places(name string) []string {
	var out []string
	for _, k := range p.keys {
		if k.path == name || strings.HasSuffix(k.path, "."+name) {
			out = append(out, k.path)
		}
		if i := strings.Index("."+k.path+".", "."+name+"."); i >= 0 && p.mappings[k.path[:min(len(k.path), i+len(name))]] {
			if m := k.path[:i+len(name)]; !containsPlace(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// containsPlace says whether the list has path, be it under the pattern sinks[]
// or under a sink of its own.
func containsPlace(list []string, path string) bool {
	_, tail, isSink := strings.Cut(path, "].")
	for _, p := range list {
		_, other, ok := strings.Cut(p, "].")
		if p == path || ok && isSink && other == tail {
			return true
		}
	}
	return false
}
