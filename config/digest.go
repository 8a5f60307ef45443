package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// digestForm is incremented when the meaning of settings changes in a way that Pictures cannot detect, such as the
// meaning of a value.
const digestForm = 1

// withoutPictures holds the keys, and with a dot at the end the parts, that affect neither a sink's pictures nor
// their names. A new key affects them until it is listed here.
var withoutPictures = []string{
	"decode.workers", "decode.isolation", "decode.on_error", "decode.max_pixels", "decode.max_memory",
	"name", "destination.", "manifest.", "ledger.",
}

// Pictures returns 8 hex digits that identify all settings that affect the pictures of sink s and their names: those
// of `decode`, and those of the sink except its name (unless its path has {sink}), destination, manifest and ledger.
// They are the start of the SHA-256 of lines `key: value`, sorted by key, of all values that differ from their
// defaults and have a meaning. So they do not change when a default is written out, or a version adds keys.
func (c *Config) Pictures(s Sink) string {
	lines := []string{fmt.Sprintf("form: %d", digestForm)}
	lines = append(lines, c.keys().file.digestLines(*c, "decode.", withoutPictures, nil)...)
	lines = append(lines, c.keys().sink.digestLines(s, "", withoutPictures, nil)...)
	if strings.Contains(s.Path, "{sink}") {
		lines = append(lines, "name: "+yamlText(s.Name))
	}
	slices.Sort(lines)
	return digest(strings.Join(lines, "\n"))
}

// elsewhere holds the keys of `source` that change neither which fragments a stream has nor their order.
var elsewhere = []string{"source.streams", "source.region", "source.profile", "source.role_arn", "source.endpoint_url", "source.deliver", "source.max_fragment_size", "source.end."}

// Fragments returns 8 hex digits that stand for the settings that determine which fragments are read of a stream, but for the
// stream itself and for its end.
func (c *Config) Fragments() string { return c.digestOf("source.", elsewhere) }

// End returns 8 hex digits that stand for the end of what is read.
func (c *Config) End() string { return c.digestOf("source.end.", nil) }

// digestOf returns 8 hex digits that stand for the keys of the file below prefix, without some.
func (c *Config) digestOf(prefix string, without []string) string {
	lines := c.keys().file.digestLines(*c, prefix, without, c.relative)
	slices.Sort(lines)
	return digest(strings.Join(lines, "\n"))
}

// Digest returns 8 hex digits that identify the values of all effective settings.
func (c *Config) Digest() (string, error) {
	values := *c
	values.shown = c.relative
	var text strings.Builder
	if err := values.Print(&text); err != nil {
		return "", err
	}
	return digest(text.String()), nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// digestLines returns a line for each key below prefix that changes pictures.
//
// relative has the texts of times that stand for themselves.
func (p *part) digestLines(of any, prefix string, without []string, relative map[string]string) []string {
	values := p.flatten(of)
	defaults := p.standing(values)
	delete(defaults, "type") // is always listed
	var lines []string
	for _, k := range p.keys {
		value, there := values[k.Path]
		switch {
		case !there || !strings.HasPrefix(k.Path, prefix) || reflect.DeepEqual(value, defaults[k.Path]):
		case !k.means(values, defaults):
		case slices.ContainsFunc(without, func(p string) bool { return k.Path == p || strings.HasSuffix(p, ".") && strings.HasPrefix(k.Path, p) }):
		default:
			lines = append(lines, k.Path+": "+(&printer{shown: relative}).value(k.Path, value))
		}
	}
	return lines
}
