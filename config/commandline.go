package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// readCommandLine makes the layers of the file from what the command line names: sinks, and files or streams. There is no checkpoint.
func (l *loader) readCommandLine(o Options) {
	kind, list := "kvs", "streams"
	if o.Files {
		kind, list = "file", "paths"
	}
	l.path = "command line"
	at := position{file: l.path}
	entries := &node{at: at, shape: shapeList}
	for _, text := range o.Sources {
		entries.items = append(entries.items, &node{at: at, shape: shapeText, text: text})
	}
	l.override(-1, "source.type", layerFile, kind, at)
	l.override(-1, "checkpoint.type", layerFile, string(CheckpointNone), at)
	l.leaf(scope{part: l.schema.file, to: l.file[layerFile]}, l.schema.file.byPath["source."+list], entries)
	for i, text := range o.Sinks {
		l.sinks = append(l.sinks, sinkLayers{layers: newLayers(), at: position{file: "--sink " + text}})
		l.readSink(i, text)
	}
}

// readSink reads a sink of the command line: KEY=VALUE, separated by commas. A key is a path or, where only one has that, its end. What
// a key needs of another one is set, if that is not, and if there is one way.
func (l *loader) readSink(i int, text string) {
	s := l.scope(i)
	own := l.sinks[i].layers[layerFile]
	var written []*key
	for _, pair := range splitPairs(text) {
		name, value, ok := strings.Cut(pair, "=")
		at := position{file: "--sink " + name}
		if !ok {
			l.add(at, "", "write KEY=VALUE, such as interval=1s")
			continue
		}
		k, problem := l.shortKey(s, strings.TrimSpace(name))
		if problem != "" {
			l.add(at, "", "%s", problem)
			continue
		}
		written = append(written, k)
		l.override(i, k.Path, layerFile, value, at)
	}
	for _, k := range written {
		for _, c := range k.Conditions {
			if _, there := own[c.Path]; !there && len(c.Needs) == 1 {
				l.override(i, c.Path, layerFile, c.Needs[0], position{file: "--sink " + k.Path})
			}
		}
	}
	if _, there := own["name"]; !there {
		name := l.sinks[i].text("type", "image")
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		l.override(i, "name", layerFile, name, position{file: "--sink"})
	}
}

// shortKey returns the key of a path or of its end, or what is wrong with the name.
func (l *loader) shortKey(s scope, name string) (k *key, problem string) {
	for _, path := range []string{name, name + ".type"} {
		if k := s.part.byPath[path]; k != nil {
			return k, ""
		}
	}
	var ends []string
	for _, k := range s.part.keys {
		if strings.HasSuffix(k.Path, "."+name) && !k.Reserved() {
			ends = append(ends, k.Path)
		}
	}
	switch {
	case len(ends) == 1:
		return s.part.byPath[ends[0]], ""
	case len(ends) > 1:
		return nil, "several keys end so: write " + strings.Join(ends, " or ")
	}
	var all []string
	for _, k := range s.part.keys {
		if k.Reserved() {
			continue
		}
		all = append(all, k.Path[strings.LastIndexByte(k.Path, '.')+1:])
	}
	slices.Sort(all)
	return nil, "no key of a sink has this name" + setting.DidYouMean(name, slices.Compact(all))
}

// splitPairs splits at commas outside of brackets, braces and quotes.
func splitPairs(text string) (pairs []string) {
	depth, quote, from := 0, rune(0), 0
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth--
		case r == ',' && depth <= 0:
			pairs, from = append(pairs, text[from:i]), i+1
		}
	}
	return append(pairs, text[from:])
}
