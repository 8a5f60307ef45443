package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// envPrefix is the prefix of every environment variable that is a setting.
const envPrefix = "KVSFRAMES_"

// reserved are the variables with the prefix that are not settings: the build and the tests of the project use them.
var reserved = []string{"KVSFRAMES_CACHE", "KVSFRAMES_LIBAV", "KVSFRAMES_VERSITYGW"}

// serviceLink matches the variables that Kubernetes sets in every container for a Service named kvsframes (Kubernetes
// documentation, Service, environment variables). They are not settings, and no key has such a name.
var serviceLink = lazily(`^KVSFRAMES_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$`)

// envName returns the name of the variable for a key path, without the prefix.
func envName(path string) string {
	return strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// target is what a name in the environment or a flag refers to.
type target struct {
	scope scope
	// path is a key or a mapping of the scope's part.
	path string
	// lower are the layers whose values a mapping replaces.
	lower []layer
}

func (l *loader) target(index int, path string, in int) target {
	ls, s := l.file, l.scope(index)
	if index >= 0 {
		ls = l.sinks[index].layers
	}
	s.to = ls[in]
	return target{scope: s, path: path, lower: ls[:in+1]}
}

// scope returns the scope of the keys of a sink, or of the whole file for an index of -1.
func (l *loader) scope(index int) scope {
	if index < 0 {
		return scope{part: l.schema.file}
	}
	return scope{part: l.schema.sink, prefix: sinkPath(index)}
}

// readEnvironment distributes the variables with the prefix to the layers.
func (l *loader) readEnvironment(environ []string) {
	var names []string
	for name := range environment(environ) {
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(reserved, name) && !serviceLink().MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // a mapping before its keys
	for _, name := range names {
		at := position{file: "environment " + name}
		t, problem := l.findEnv(strings.TrimPrefix(name, envPrefix))
		if problem != "" {
			l.add(at, "", "%s", problem)
			continue
		}
		l.override(t, l.env[name], at)
	}
}

// findEnv returns the target of a variable, or the problem with its name.
func (l *loader) findEnv(name string) (target, string) {
	index, rest := -1, name
	if after, ok := strings.CutPrefix(name, "SINKS_"); ok {
		number, tail, _ := strings.Cut(after, "_")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 {
			return target{}, "a sink is addressed by its index, such as KVSFRAMES_SINKS_0_QUALITY"
		}
		if i >= len(l.sinks) {
			return target{}, noSink(i, len(l.sinks))
		}
		index, rest = i, tail
	}
	byName := l.scope(index).part.envNames()
	if path, ok := byName[rest]; ok {
		return l.target(index, path, layerEnvironment), ""
	}
	prefix := envPrefix + strings.TrimSuffix(name, rest)
	if c, ok := setting.Nearest(rest, slices.Sorted(maps.Keys(byName))); ok {
		return target{}, fmt.Sprintf("no key has this variable (did you mean %s%s?)", prefix, c)
	}
	return target{}, "no key has this variable"
}

func noSink(i, have int) string {
	return fmt.Sprintf("there is no sinks[%d]: the file has %d", i, have)
}

// envNames returns the key paths by the names of their variables.
func (p *part) envNames() map[string]string {
	names := map[string]string{}
	for m := range p.mappings {
		names[envName(m)] = m
	}
	for _, k := range p.keys {
		names[envName(k.Path)] = k.Path
	}
	return names
}

// readFlags distributes the --set flags to the layers.
func (l *loader) readFlags(flags []string) {
	for _, flag := range flags {
		path, value, ok := strings.Cut(flag, "=")
		at := position{file: "--set " + path}
		if !ok {
			l.add(at, "", "write KEY=VALUE, such as source.region=eu-west-1")
			continue
		}
		t, problem := l.findFlag(path)
		if problem != "" {
			l.add(at, "", "%s", l.hide("", problem))
			continue
		}
		l.override(t, value, at)
	}
}

// findFlag returns the target of the key of a flag, or the problem with it.
func (l *loader) findFlag(path string) (target, string) {
	rest, isSink := strings.CutPrefix(path, "sinks")
	if !isSink || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return l.findKey(-1, path)
	}
	index, tail, problem := l.findSink(rest)
	if problem != "" {
		return target{}, problem
	}
	return l.findKey(index, tail)
}

func (l *loader) findKey(index int, path string) (target, string) {
	s := l.scope(index)
	if s.part.byPath[path] != nil || s.part.mappings[path] {
		return l.target(index, path, layerFlags), ""
	}
	var all []string
	for _, k := range s.part.keys {
		all = append(all, k.Path)
	}
	if c, ok := setting.Nearest(path, all); ok {
		return target{}, "unknown key (did you mean " + join(s.prefix, c) + "?)"
	}
	name := path[strings.LastIndexByte(path, '.')+1:]
	if places := placesOf(s, name); len(places) > 0 && !isCredential(name) {
		return target{}, "does not belong here (did you mean " + strings.Join(places, " or ") + "?)"
	}
	return target{}, unknownKey(s, strings.TrimSuffix(strings.TrimSuffix(path, name), "."), name)
}

// findSink reads the index or name in ".0.quality", ".thumbs.quality" or "[0].quality".
func (l *loader) findSink(rest string) (index int, tail, problem string) {
	const how = "name a sink and its key, such as sinks.0.quality or sinks.thumbs.quality"
	if number, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]."); ok && rest[0] == '[' {
		rest = "." + number + "." + after
	}
	rest = strings.TrimPrefix(rest, ".")
	first, tail, ok := strings.Cut(rest, ".")
	if !ok {
		return 0, "", how
	}
	if i, err := strconv.Atoi(first); err == nil && i >= 0 {
		if i < len(l.sinks) {
			return i, tail, ""
		}
		if !l.hasSink(first) {
			return 0, "", noSink(i, len(l.sinks))
		}
	}
	var names []string
	best := -1
	for i, s := range l.sinks {
		name := s.text("name", "")
		names = append(names, name)
		if name == "" || !strings.HasPrefix(rest, name+".") {
			continue
		}
		if best < 0 || len(name) > len(names[best]) { // names may contain dots
			best, tail = i, rest[len(name)+1:]
		}
	}
	if best < 0 {
		return 0, "", fmt.Sprintf("there is no sink %q%s", setting.Short(first), setting.DidYouMean(first, names))
	}
	return best, tail, ""
}

func (l *loader) hasSink(name string) bool {
	return slices.ContainsFunc(l.sinks, func(s sinkLayers) bool { return s.text("name", "") == name })
}

// override writes one value of the environment or of a flag to its layer.
func (l *loader) override(t target, value string, at position) {
	if k := t.scope.part.byPath[t.path]; k != nil {
		l.overrideKey(t, k, value, at)
		return
	}
	root, ok := l.literal(value, at, join(t.scope.prefix, t.path))
	if !ok {
		return
	}
	if root.shape != shapeMapping {
		l.add(at, join(t.scope.prefix, t.path), "want a mapping such as {key: value}, not %s", root.shape)
		return
	}
	for _, lower := range t.lower {
		lower.drop(t.path)
	}
	l.mapping(t.scope, root, t.path)
}

func (l *loader) overrideKey(t target, k *key, value string, at position) {
	full := join(t.scope.prefix, k.Path)
	n := &node{at: at, shape: shapeText, text: value}
	if k.Reserved() {
		l.leaf(t.scope, k, n)
		return
	}
	if k.isList() && strings.HasPrefix(strings.TrimSpace(value), "[") {
		flow, ok := l.literal(value, at, full)
		if !ok {
			return
		}
		n = flow
	}
	v, err := k.read(n, true)
	if err != nil {
		l.refuse(n, full, err)
		return
	}
	t.scope.to[k.Path] = newWritten(v, n)
}

// literal reads the value of a variable or flag as YAML. Its place is the variable or flag, without a line.
func (l *loader) literal(value string, at position, full string) (*node, bool) {
	root, problems := parseYAML(at.file, []byte(value))
	for _, p := range problems {
		l.add(at, full, "%s", p.Message)
	}
	if root == nil || len(problems) > 0 {
		return nil, false
	}
	root.relocate(at)
	return root, true
}

func (n *node) relocate(at position) {
	n.at = at
	for _, item := range n.items {
		item.relocate(at)
	}
	for i := range n.fields {
		n.fields[i].at = at
		n.fields[i].value.relocate(at)
	}
}
