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
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// decode merges the layers. Values that were refused are in no layer, so that the
// defaults stand in for them and the rest can still be checked.
func (l *loader) decode() *Config {
	c := Default()
	if err := merge(flatten(fileKeys, c), l.file, &c); err != nil {
		l.add(position{file: l.path}, "", "%v", err)
	}
	for i, s := range l.sinks {
		out := s.defaults()
		if err := merge(flatten(sinkKeys, out), s.layers, &out); err != nil {
			l.add(s.at, sinkPath(i), "%v", err)
		}
		given, ok := s.effective("destination.if_exists")
		out.OverwriteExplicit = ok && given.value == string(sink.IfExistsOverwrite)
		if from, ok := s.from("sample.file"); ok && from == layerFile {
			out.TimesFolder = l.folder
		}
		c.Sinks = append(c.Sinks, out)
	}
	c.shown, c.secrets = l.shown(), l.secrets
	return &c
}

// shown returns the values in force that hold references, as the file has them, by the
// full paths of their keys and, for lists, of their entries.
func (l *loader) shown() map[string]string {
	shown := map[string]string{}
	collect := func(prefix string, p *part, ls layers) {
		for _, k := range p.keys {
			s, _ := ls.effective(k.path)
			if s.shown != "" {
				shown[join(prefix, k.path)] = s.shown
			}
			for i, item := range s.itemsShown {
				if item != "" {
					shown[fmt.Sprintf("%s[%d]", join(prefix, k.path), i)] = item
				}
			}
		}
	}
	collect("", fileKeys, l.file)
	for i, s := range l.sinks {
		collect(sinkPath(i), sinkKeys, s.layers)
	}
	return shown
}

// defaults returns what a sink has where the layers say nothing: its type decides
// about the form, its sampler whether there is an interval.
func (s sinkLayers) defaults() Sink {
	d := DefaultSink(SinkType(s.text("type", string(SinkImage))))
	_, rate := s.effective("sample.fps")
	if rate || s.text("sample.type", string(d.Sample.Type)) != string(plan.SampleInterval) {
		d.Sample.Interval = 0
	}
	return d
}

// check looks at the merged settings as a whole. A key that has a problem already
// gets no second one.
func (l *loader) check(c *Config) {
	if c.Version != Version {
		l.report("version", fmt.Sprintf("%d is not a version that this program reads: want %d", c.Version, Version))
	}
	l.checkSelectors("", fileKeys, l.file, Default())
	l.checkPart("source", c.Source.Validate())
	l.checkPart("decode", c.Decode.Validate())
	if len(l.sinks) == 0 {
		l.report("sinks", "there is no sink: write at least one")
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

func (l *loader) checkSink(i int, s Sink, c sink.Config, from source.Config) {
	endless := from.Type == source.TypeKVS && from.Mode != source.ModeArchive
	prefix := sinkPath(i)
	if s.Name == "" {
		l.report(prefix+".name", "is missing: every sink needs a name of its own")
	}
	if forms := formats[s.Type]; !slices.Contains(forms, string(s.Format)) {
		l.report(prefix+".format", fmt.Sprintf("%q does not fit type %s: want %s", s.Format, s.Type, list(forms)))
		s.Format = decode.Format(forms[0]) // what is wrong with the rest is said as well
	}
	l.checkSelectors(prefix, sinkKeys, l.sinks[i].layers, l.sinks[i].defaults())
	if s.Sample.Type == plan.SampleIndices && endless {
		l.report(prefix+".sample.type", "indices are counted from the start of a file or a range: they need source.type file or source.mode archive")
	}
	l.checkPart(prefix, s.Output().Validate())
	l.checkPart(prefix, c.Validate())
	if from.Many() {
		l.checkPart(prefix, c.CheckStreams())
	}
}

// checkSelectors reports the keys that say something which another key makes
// meaningless. The default may always be written.
func (l *loader) checkSelectors(prefix string, p *part, ls layers, defaults any) {
	base := flatten(p, defaults)
	for _, k := range p.keys {
		s, given := ls.effective(k.path)
		if k.selector == "" || !given || s.value == "" || reflect.DeepEqual(s.value, base[k.path]) {
			continue
		}
		selected := ls.text(k.selector, fmt.Sprint(base[k.selector]))
		if !slices.Contains(k.needs, selected) {
			name := k.selector[strings.LastIndexByte(k.selector, '.')+1:]
			l.report(join(prefix, k.path), fmt.Sprintf("belongs to %s %s, and the %s is %s%s", name, strings.Join(k.needs, " or "), name, selected, p.alike(k, selected)))
		}
	}
}

// checkPart reports what a package says of its own part of the settings.
func (l *loader) checkPart(prefix string, err error) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			l.checkPart(prefix, e)
		}
		return
	}
	var f *media.FieldError
	if !errors.As(err, &f) {
		l.report(prefix, err.Error())
		return
	}
	path := join(prefix, f.Path)
	if strings.HasPrefix(f.Path, "[") {
		path = prefix + f.Path
	}
	l.report(path, f.Problem)
}

// report adds a problem of a key, unless there is one of it or around it already,
// or one of the key that decides what this one means.
func (l *loader) report(path, message string) {
	if l.hasProblem(path) {
		return
	}
	if selector := selectorOf(path); selector != "" && l.hasProblem(selector) {
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

// selectorOf returns the full path of the key that decides what the key at path
// means, or "".
func selectorOf(path string) string {
	p, prefix, rest := fileKeys, "", path
	if strings.HasPrefix(path, "sinks[") {
		p = sinkKeys
		prefix, rest, _ = strings.Cut(path, ".")
	}
	rest, _, _ = strings.Cut(rest, "[")
	if k := p.byPath[rest]; k != nil && k.selector != "" {
		return join(prefix, k.selector)
	}
	return ""
}

// place returns where a key is set, or else where the nearest mapping around it
// stands.
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

// find returns what the layers say of a key or of one entry of a list, given by
// its full path.
func (l *loader) find(path string) (setting, bool) {
	if list, ok := strings.CutSuffix(path, "]"); ok {
		at := strings.LastIndexByte(list, '[')
		s, _ := l.find(list[:at])
		if entry, err := strconv.Atoi(list[at+1:]); err == nil && entry < len(s.items) {
			one := setting{at: s.items[entry]}
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

// sinkOf takes the path of a key of a sink apart.
func sinkOf(path string) (index int, rest string, ok bool) {
	number, ok := strings.CutPrefix(path, "sinks[")
	if !ok {
		return 0, "", false
	}
	number, rest, ok = strings.Cut(number, "].")
	index, err := strconv.Atoi(number)
	return index, rest, ok && err == nil && index >= 0
}

// parent cuts the last name or index off a path.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
