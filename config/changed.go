package config

import (
	"reflect"
	"slices"
)

// Changed returns the keys whose values differ in other settings, in the order of the schema: those of a sink as sinks.NAME.KEY, and sinks.NAME
// for one that only one of the two has. Times that are relative are equal if they are written alike.
func (c *Config) Changed(to *Config) []string {
	keys := c.keys()
	from, now := keys.file.flatten(*c), keys.file.flatten(*to)
	for path, text := range c.relative {
		from[path] = text
	}
	for path, text := range to.relative {
		now[path] = text
	}
	changed := keys.file.differing(from, now, "")
	for _, s := range c.Sinks {
		i := slices.IndexFunc(to.Sinks, func(other Sink) bool { return other.Name == s.Name })
		if i < 0 {
			changed = append(changed, "sinks."+s.Name)
			continue
		}
		changed = append(changed, keys.sink.differing(keys.sink.flatten(s), keys.sink.flatten(to.Sinks[i]), "sinks."+s.Name+".")...)
	}
	for _, s := range to.Sinks {
		if !slices.ContainsFunc(c.Sinks, func(other Sink) bool { return other.Name == s.Name }) {
			changed = append(changed, "sinks."+s.Name)
		}
	}
	return changed
}

// differing returns the paths of the keys whose values differ, behind a prefix.
func (p *part) differing(a, b map[string]any, prefix string) []string {
	var paths []string
	for _, k := range p.keys {
		if !reflect.DeepEqual(a[k.Path], b[k.Path]) {
			paths = append(paths, prefix+k.Path)
		}
	}
	return paths
}
