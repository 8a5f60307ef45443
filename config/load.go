package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Options states where settings come from.
type Options struct {
	// Path is the path of the file, which messages also use.
	Path string
	// Reader, if not nil, is read instead of the file.
	Reader io.Reader
	// Sinks describes sinks, each as KEY=VALUE,KEY=VALUE, and Sources names what is read: streams, or files if Files is set. With
	// them there is no file.
	Sinks, Sources []string
	Files          bool
	// Environ is the environment as NAME=VALUE, as os.Environ returns it; nil is an empty one.
	Environ []string
	// Set holds the flags, KEY=VALUE.
	Set []string
	// Now is what relative times refer to; zero is the present time.
	Now time.Time
	// Variants are the types of source, sink and destination that the file may use; nil is BuiltIn.
	Variants setting.Variants
	// Check, if not nil, checks what the settings refer to, such as files. It is called once, with defaults in
	// place of wrong values, and its problems are reported with the rest.
	Check func(*Config) []PartError
}

// PartError holds the problems of one part of the settings: a *setting.Error, or several joined.
type PartError struct {
	// Part is the path of the part, such as source or sinks[1]; the paths of keys are relative to it.
	Part string
	Err  error
}

// Error implements error.
func (e *PartError) Error() string { return e.Part + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PartError) Unwrap() error { return e.Err }

// loader is one call of Load.
type loader struct {
	schema *schema
	path   string
	// folder is the folder of the file, "" when it is not a file.
	folder      string
	env         map[string]string
	interpolate bool
	problems    Problems

	file  layers
	sinks []sinkLayers
	// places holds the places of keys that contain other keys, by full path.
	places map[string]position
	// secrets are the values of references.
	secrets secrets
	// bad holds the keys that have a problem, and around the paths above them.
	bad, around map[string]bool
	// relative holds the times that were relative, by path.
	relative map[string]string
}

// sinkLayers holds the layers of one sink.
type sinkLayers struct {
	layers
	at position
}

// Load reads, merges and checks the settings. The error is Problems when the settings are wrong, and another one only
// when the file cannot be read.
func Load(o Options) (*Config, error) {
	l, ok, err := o.layers()
	if err != nil {
		return nil, err
	}
	if !ok { // without settings there is nothing more to report
		return nil, l.problems.sorted(o.Path)
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	l.resolve(o.Now)
	c := l.decode()
	l.check(c)
	if o.Check != nil {
		for _, e := range o.Check(c) {
			l.checkPart(e.Part, e.Err)
		}
	}
	if len(l.problems) > 0 {
		return nil, l.problems.sorted(o.Path)
	}
	return c, nil
}

// layers reads the layers. ok reports whether the file is valid YAML.
func (o Options) layers() (l *loader, ok bool, err error) {
	l, ok = newLoader(o), true
	if len(o.Sinks) > 0 {
		l.readCommandLine(o)
	} else {
		data, err := o.read()
		if err != nil {
			return nil, false, err
		}
		if o.Reader == nil {
			l.folder = filepath.Dir(o.Path)
		}
		if len(data) > maxFileSize {
			l.add(position{file: o.Path}, "", "the file is larger than %d bytes", maxFileSize)
			return l, false, nil
		}
		ok = l.readYAML(data)
	}
	l.readEnvironment(o.Environ)
	l.readFlags(o.Set)
	return l, ok, nil
}

// readYAML distributes the values of the file's text to the layers, and reports whether it is valid YAML.
func (l *loader) readYAML(data []byte) bool {
	root, problems := parseYAML(l.path, data)
	for _, p := range problems {
		l.note(p)
	}
	if root != nil {
		l.readFile(root)
	}
	return root != nil
}

// read returns the content of the file, up to one byte more than the allowed maximum.
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
	data, err := io.ReadAll(io.LimitReader(r, maxFileSize+1))
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

func newLoader(o Options) *loader {
	s := schemaOf(o.Variants)
	return &loader{
		schema: s, path: o.Path, env: environment(o.Environ), file: newLayers(), places: map[string]position{},
		bad: map[string]bool{}, around: map[string]bool{}, relative: map[string]string{},
	}
}

func (l *loader) add(at position, key, format string, args ...any) {
	l.note(Problem{File: at.file, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(format, args...)})
}

// note adds a problem, and records what it concerns.
func (l *loader) note(p Problem) {
	l.problems = append(l.problems, p)
	if p.Key == "" || l.bad[p.Key] {
		return
	}
	l.bad[p.Key] = true
	for at := p.Key; at != ""; at = parent(at) {
		l.around[at] = true
	}
}

// readFile distributes the values of the file to the layers.
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
	l.mapping(scope{part: l.schema.file, to: l.file[layerFile]}, &top, "")
}

func (l *loader) readSinks(n *node) {
	if n.shape == shapeNull {
		return
	}
	if n.shape != shapeList {
		l.add(n.at, "sinks", "want a list of sinks, not %s: begin each with `- name:`", n.shape)
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
		l.mapping(scope{part: l.schema.sink, prefix: prefix, to: s.layers[layerFile]}, item, "")
	}
}

func sinkPath(i int) string { return fmt.Sprintf("sinks[%d]", i) }

// scope describes where the keys of a mapping belong.
type scope struct {
	part *part
	// prefix is the full path of the part's root.
	prefix string
	to     layer
}

// mapping reads the fields of n, which is at path within the scope's part.
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
			l.imply(s, at, f.at)
		case f.value.shape == shapeNull: // a mapping whose keys are all commented out
			l.imply(s, at, f.at)
		default:
			l.add(f.value.at, full, "want a mapping of keys, not %s%s", f.value.shape, mappingHint(s.part, at, f.value))
		}
	}
}

// imply sets the keys of the mapping at path that have a value where only the mapping is written.
func (l *loader) imply(s scope, path string, at position) {
	for _, k := range s.part.keys {
		full := join(s.prefix, k.Path)
		switch _, there := s.to[k.Path]; {
		case k.Implied == "" || parent(k.Path) != path || there || l.hasProblem(full):
		case k.Implied == setting.Required:
			l.add(at, full, "is missing: write %s", k.wants())
		default:
			s.to[k.Path] = written{value: k.Implied, at: at}
		}
	}
}

// leaf reads the value of one key.
func (l *loader) leaf(s scope, k *key, n *node) {
	full := join(s.prefix, k.Path)
	n = k.simple(n)
	if n.refused || slices.ContainsFunc(n.items, func(item *node) bool { return item.refused }) {
		return
	}
	if k.Reserved() {
		if n.shape == shapeMapping && len(n.fields) > 0 || n.shape == shapeList || n.text != "" {
			message := "is not available in this version"
			if k.Instead != "" {
				message += ": " + k.Instead
			}
			l.add(n.at, full, "%s", message)
		}
		return
	}
	value, err := l.value(k, n)
	if err != nil {
		l.refuse(n, full, err)
		return
	}
	s.to[k.Path] = value
}

// refuse reports a problem with the value n of a key, at the place of the entry if it concerns one entry of a list.
func (l *loader) refuse(n *node, full string, err error) {
	if e, ok := errors.AsType[*entryError](err); ok && e.index < len(n.items) {
		l.add(n.items[e.index].at, fmt.Sprintf("%s[%d]", full, e.index), "%v", e.err)
		return
	}
	l.add(n.at, full, "%v", err)
}

func newWritten(value any, n *node) written {
	s := written{value: value, at: n.at}
	for _, item := range n.items {
		s.items = append(s.items, item.at)
	}
	return s
}

// value replaces references, where the layer allows them, and reads the value.
func (l *loader) value(k *key, n *node) (written, error) {
	if n.shape == shapeText && k.isList() && l.interpolate {
		one := &node{at: n.at, shape: shapeList, items: []*node{n}}
		s, err := l.value(k, one)
		if e, ok := errors.AsType[*entryError](err); ok {
			err = e.err
		}
		return s, err
	}
	if !l.interpolate || n.shape != shapeText && n.shape != shapeList {
		value, err := k.read(n, false)
		return newWritten(value, n), err
	}
	if n.shape == shapeList {
		return l.list(k, n)
	}
	text, changed, err := l.replace(k, n.text)
	if err != nil {
		return written{}, err
	}
	value, err := k.read(&node{at: n.at, shape: shapeText, text: text}, changed)
	if err != nil && changed {
		err = unfit(n.text, k.wants())
	}
	s := newWritten(value, n)
	if changed {
		s.shown = n.text
	}
	return s, err
}

// unfit returns the error for a wrong value that contains references; it does not repeat the value.
func unfit(shown, wants string) error {
	return fmt.Errorf("the value of %s is wrong: want %s", shown, wants)
}

// replace replaces the references in a text of the file. It records their values as secrets if the key
// accepts any text.
func (l *loader) replace(k *key, text string) (out string, changed bool, err error) {
	out, changed, err = interpolate(text, func(name string) (string, bool) {
		value, ok := l.env[name]
		if k.isFree() {
			l.secrets.add(value, "${"+name+"}")
		}
		return value, ok
	})
	if k.isFree() && changed && err == nil {
		l.secrets.add(out, text)
	}
	return out, changed, err
}

func (l *loader) list(k *key, n *node) (written, error) {
	copied := *n
	copied.items = make([]*node, len(n.items))
	shown := make([]string, len(n.items))
	hidden := false
	for i, item := range n.items {
		text, changed, err := l.replace(k, item.text)
		if err != nil {
			return written{}, &entryError{i, err}
		}
		if changed {
			shown[i], hidden = item.text, true
		}
		copied.items[i] = &node{at: item.at, shape: item.shape, text: text}
	}
	value, err := k.read(&copied, false)
	if e, ok := errors.AsType[*entryError](err); ok && shown[e.index] != "" {
		err = &entryError{e.index, unfit(shown[e.index], "text")}
	}
	s := newWritten(value, n)
	if hidden {
		s.itemsShown = shown
	}
	return s, err
}
