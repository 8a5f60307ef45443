package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/sink"
)

// bareText matches text that YAML reads as the same text without quotes: words, and numbers with a unit.
var bareText = lazily(`^([A-Za-z/][A-Za-z0-9_./-]*|([0-9]+(ns|us|ms|s|m|h))+|[0-9]+([kMG]|[KMG]i)?B)$`)

// Print writes the settings as YAML, in the order of the schema: every key that has a value and a meaning. Load reads
// the same Config from it. A value that came from ${VAR} is printed as the reference.
func (c *Config) Print(w io.Writer) error { return c.print(w, nil) }

// PrintOrigins is Print with a comment in each line: where the value comes from. That is default, a file and a line, a variable of the
// environment, or a flag.
func (c *Config) PrintOrigins(w io.Writer) error {
	if c.origins == nil {
		return c.print(w, map[string]string{})
	}
	return c.print(w, c.origins)
}

// print is Print, with origins unless they are nil.
func (c *Config) print(w io.Writer, origins map[string]string) error {
	p := &printer{shown: c.shown, origins: origins}
	file := c.keys().file
	values := file.flatten(*c)
	defaults := file.standing(values)
	at := slices.IndexFunc(file.keys, func(k *key) bool { return strings.HasPrefix(k.Path, "checkpoint.") })
	p.part(file.keys[:at], values, defaults, "")
	p.out.WriteString("sinks:\n")
	for i, s := range c.Sinks {
		p.sink(c.keys().sink, s, sinkPath(i))
	}
	p.open, p.prefix = nil, ""
	p.part(file.keys[at:], values, defaults, "")
	if _, err := io.WriteString(w, p.out.String()); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	return nil
}

// printer writes keys one after the other, each within its mappings.
type printer struct {
	out strings.Builder
	// open are the mappings around the last key.
	open []string
	// shown holds the references of values (see Config), by full path; prefix is the path of the part.
	shown  map[string]string
	prefix string
	// origins are where values come from, by full path; nil for no comments.
	origins map[string]string
}

func (p *printer) sink(keys *part, s Sink, prefix string) {
	values := keys.flatten(s)
	if !s.OverwriteExplicit && s.Destination.IfExists == sink.IfExistsOverwrite {
		delete(values, "destination.if_exists") // a written default differs from an implicit one
	}
	one := &printer{shown: p.shown, prefix: prefix, origins: p.origins}
	one.part(keys.keys, values, keys.standing(values), "    ")
	p.out.WriteString("  - " + strings.TrimPrefix(one.out.String(), "    "))
}

func (p *printer) part(keys []*key, values, defaults map[string]any, indent string) {
	for _, k := range keys {
		value, ok := values[k.Path]
		switch {
		case !ok, value == "" && defaults[k.Path] == "":
		case reflect.DeepEqual(value, defaults[k.Path]) && !k.means(values, defaults):
		default:
			p.key(k.Path, value, indent)
		}
	}
}

func (p *printer) key(path string, value any, indent string) {
	names := strings.Split(path, ".")
	mappings, name := names[:len(names)-1], names[len(names)-1]
	shared := 0
	for shared < min(len(p.open), len(mappings)) && p.open[shared] == mappings[shared] {
		shared++
	}
	for i, m := range mappings[shared:] {
		fmt.Fprintf(&p.out, "%s%s%s:\n", indent, strings.Repeat("  ", shared+i), m)
	}
	p.open = mappings
	full := join(p.prefix, path)
	line := fmt.Sprintf("%s%s%s: %s", indent, strings.Repeat("  ", len(mappings)), name, p.value(full, value))
	if p.origins != nil {
		line = fmt.Sprintf("%-*s  # %s", originColumn, line, cmp.Or(p.origins[full], "default"))
	}
	p.out.WriteString(line + "\n")
}

// originColumn is the column from which on the origins are, unless a value is longer.
const originColumn = 50

// value formats the value of the key at a full path.
func (p *printer) value(path string, value any) string {
	if shown := p.shown[path]; shown != "" {
		return quote(shown)
	}
	switch value := value.(type) {
	case string:
		return yamlText(value)
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			if items[i] = yamlText(fmt.Sprint(item)); p.shown[fmt.Sprintf("%s[%d]", path, i)] != "" {
				items[i] = quote(p.shown[fmt.Sprintf("%s[%d]", path, i)])
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(value)
}

// yamlText formats text so that YAML reads the same text: bare where that is safe, else in double quotes, where
// JSON's escapes are valid in YAML.
func yamlText(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "y", "n":
	default:
		if bareText().MatchString(text) {
			return text
		}
	}
	return quote(strings.ReplaceAll(text, "${", "$${"))
}

// quote formats text in double quotes.
func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic("config: " + err.Error()) // cannot happen: text can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}
