package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// decode merges the layers. No layer has the values that were rejected, so that their keys have their defaults
// and the rest can still be checked.
func (l *loader) decode() *Config {
	c := Default()
	if err := l.schema.file.fill(l.file, &c); err != nil {
		l.add(position{file: l.path}, "", "%v", err)
	}
	for i, s := range l.sinks {
		out := defaultSink()
		if err := l.schema.sink.fill(s.layers, &out); err != nil {
			l.add(s.at, sinkPath(i), "%v", err)
		}
		given, ok := s.effective("destination.if_exists")
		out.OverwriteExplicit = ok && given.value == string(sink.IfExistsOverwrite)
		if out.Destination.Appends() { // which has neither, unless somebody asks for them
			if _, asked := s.effective("manifest.format"); !asked {
				out.Manifest.Format = sink.ManifestNone
			}
			if _, asked := s.effective("ledger.path"); !asked {
				out.Ledger.Path = ""
			}
		}
		if from, ok := s.from("sample.file"); ok && from == layerFile {
			out.TimesFolder = l.folder
		}
		c.Sinks = append(c.Sinks, out)
	}
	c.schema, c.shown, c.secrets, c.relative, c.origins = l.schema, l.shown(), l.secrets, l.relative, l.origins()
	return &c
}

// shown returns the effective values that contain references, as written in the file, by the full paths of
// their keys and, for lists, of their entries.
func (l *loader) shown() map[string]string {
	shown := map[string]string{}
	l.eachWritten(func(path string, s written) {
		if s.shown != "" {
			shown[path] = s.shown
		}
		for i, item := range s.itemsShown {
			if item != "" {
				shown[fmt.Sprintf("%s[%d]", path, i)] = item
			}
		}
	})
	return shown
}

// origins returns where the effective values come from, by the full paths of their keys: a file and a line, the environment or a flag.
func (l *loader) origins() map[string]string {
	origins := map[string]string{}
	l.eachWritten(func(path string, s written) {
		origins[path] = s.at.file
		if s.at.line > 0 {
			origins[path] += ":" + strconv.Itoa(s.at.line)
		}
	})
	return origins
}

// eachWritten calls visit for each key that a layer sets, with its full path and its effective value.
func (l *loader) eachWritten(visit func(path string, s written)) {
	collect := func(prefix string, p *part, ls layers) {
		for _, k := range p.keys {
			if s, ok := ls.effective(k.Path); ok {
				visit(join(prefix, k.Path), s)
			}
		}
	}
	collect("", l.schema.file, l.file)
	for i, s := range l.sinks {
		collect(sinkPath(i), l.schema.sink, s.layers)
	}
}

// check validates the merged settings as a whole. It reports at most one problem of a key.
func (l *loader) check(c *Config) {
	if c.Version != Version {
		l.report("version", fmt.Sprintf("%d is not supported: want %d", c.Version, Version))
	}
	l.checkPart("", setting.Check(*c, Default()))
	l.checkMeaning("", l.schema.file, l.file, *c)
	if c.Lag.Action != LagNone && !c.Source.Origin.Endless() {
		l.report("lag.action", string(c.Lag.Action)+" needs a live stream: source.type kvs, with source.mode live or auto")
	}
	if c.CheckpointType() != CheckpointNone && len(c.Sinks) > 0 && !c.keepsPlace() {
		l.report("checkpoint.type", string(c.Checkpoint.Type)+" needs another sink: what was written to standard output cannot be continued")
	}
	if len(l.sinks) == 0 {
		l.report("sinks", "is empty: write at least one sink")
	}
	configs := make([]sink.Config, len(c.Sinks))
	for i, s := range c.Sinks {
		configs[i] = s.SinkConfig()
		l.checkSink(i, s, configs[i], c.Source)
	}
	for _, err := range sink.Conflicts(configs) {
		l.checkPart("sinks", err)
	}
}

func (l *loader) checkSink(i int, s Sink, c sink.Config, src source.Config) {
	prefix, from := sinkPath(i), src.Origin
	if s.Name == "" {
		l.report(prefix+".name", "is missing: every sink needs its own name")
	}
	l.checkPart(prefix, s.Form.Validate()) // other keys depend on the format
	if form, ok := s.Form.(interface{ CheckResize(r decode.Resize) error }); ok {
		l.checkPart(prefix, form.CheckResize(s.Resize))
	}
	l.checkMeaning(prefix, l.schema.sink, l.sinks[i].layers, s)
	if _, places := s.Sample.Rule.(plan.Indices); places && from.Endless() {
		l.report(prefix+".sample.type", "indices are counted from the start of a file or a range: they need source.type file or source.mode archive")
	}
	l.checkPart(prefix, setting.Check(s, defaultSink()))
	l.checkPart(prefix, c.Validate())
	if from.Many() {
		l.checkPart(prefix, c.CheckStreams())
	}
	if kvs, _ := src.KVS(); kvs.Deliver == source.DeliverFrame && strings.Contains(s.Path, "{tag:") {
		l.report(prefix+".path", "{tag:NAME} does not go with source.deliver: frame: the tags of a fragment come behind its frames")
	}
}

// checkMeaning reports the keys that are set although another key makes them meaningless. The default may always
// be written.
func (l *loader) checkMeaning(prefix string, p *part, ls layers, of any) {
	values := p.flatten(of)
	defaults := p.standing(values)
	for _, k := range p.keys {
		s, given := ls.effective(k.Path)
		if !given || s.value == "" || reflect.DeepEqual(k.standard(s.value), defaults[k.Path]) {
			continue
		}
		problem, ok := k.unmet(func(path string) string { return ls.text(path, fmt.Sprint(defaults[path])) })
		if ok {
			l.report(join(prefix, k.Path), problem)
		}
	}
}

// checkPart reports the problems that a package found in its own part of the settings.
func (l *loader) checkPart(prefix string, err error) {
	var problems setting.Problems
	problems.AddBelow(prefix, err)
	for _, p := range problems {
		if e, ok := errors.AsType[*setting.Error](p); ok { // each is one
			l.report(e.Path, e.Problem)
		}
	}
}

// report adds a problem of a key, unless there is already one of that key, of a key around it, or of a key that
// decides whether it has a meaning.
func (l *loader) report(path, message string) {
	if l.hasProblem(path) {
		return
	}
	if slices.ContainsFunc(l.selectorsOf(path), l.hasProblem) {
		return
	}
	l.add(l.place(path), path, "%s", l.hide(path, message))
}

func (l *loader) hasProblem(path string) bool {
	if l.around[path] {
		return true
	}
	for at := path; at != ""; at = parent(at) {
		if l.bad[at] {
			return true
		}
	}
	return false
}

// keyAt returns the key at a full path, or the key around it for an entry of a list, and the full path of the
// key's part. It returns nil if there is none.
func (l *loader) keyAt(path string) (k *key, prefix string) {
	p, rest := l.schema.file, path
	if strings.HasPrefix(path, "sinks[") {
		p = l.schema.sink
		prefix, rest, _ = strings.Cut(path, ".")
	}
	rest, _, _ = strings.Cut(rest, "[")
	return p.byPath[rest], prefix
}

// selectorsOf returns the full paths of the keys that decide whether the key at path has a meaning.
func (l *loader) selectorsOf(path string) (selectors []string) {
	if k, prefix := l.keyAt(path); k != nil {
		for _, c := range k.Conditions {
			selectors = append(selectors, join(prefix, c.Path))
		}
	}
	return selectors
}

// place returns where a key is set, or else the place of the nearest mapping around it.
func (l *loader) place(path string) position {
	for at := path; at != ""; at = parent(at) {
		if s, ok := l.find(at); ok {
			return s.at
		}
		if p, ok := l.places[at]; ok {
			return p
		}
	}
	return position{file: l.path}
}

// find returns the effective value of a key or of one entry of a list, given its full path.
func (l *loader) find(path string) (written, bool) {
	if list, ok := strings.CutSuffix(path, "]"); ok {
		at := strings.LastIndexByte(list, '[')
		s, _ := l.find(list[:at])
		if entry, err := strconv.Atoi(list[at+1:]); err == nil && entry < len(s.items) {
			one := written{at: s.items[entry]}
			if texts, ok := s.value.([]any); ok && len(texts) == len(s.items) {
				one.value = texts[entry]
			}
			if s.itemsShown != nil {
				one.shown = s.itemsShown[entry]
			}
			return one, true
		}
	}
	if i, rest, ok := sinkOf(path); ok && i < len(l.sinks) {
		return l.sinks[i].effective(rest)
	}
	return l.file.effective(path)
}

// sinkOf splits the path of a key of a sink.
func sinkOf(path string) (index int, rest string, ok bool) {
	number, ok := strings.CutPrefix(path, "sinks[")
	if !ok {
		return 0, "", false
	}
	number, rest, ok = strings.Cut(number, "].")
	index, err := strconv.Atoi(number)
	return index, rest, ok && err == nil && index >= 0
}

// parent removes the last name or index of a path.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
