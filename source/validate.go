package source

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// The bounds of max_fragment_size.
const (
	minFragmentCap Size = 1 << 10
	maxFragmentCap Size = 2 << 30
)

// Names, ARNs and tokens as the API takes them (Kinesis Video Streams API
// Reference, GetMedia and StartSelector). Lengths are counted apart: a count in a pattern makes it as long
// to compile, at every start of the program.
var (
	wordPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`) })
	arnPattern  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/([a-zA-Z0-9_.-]+)/[0-9]+$`)
	})
)

// The longest names and tokens of the API.
const (
	maxName  = 256
	maxToken = 128
)

func isName(s string) bool { return len(s) <= maxName && wordPattern().MatchString(s) }

// maxARN is the longest stream ARN of the API.
const maxARN = 1024

// problems collects what is wrong with a Config.
type problems []error

// add notes a problem of a key.
func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &media.FieldError{Path: key, Problem: fmt.Sprintf(format, args...)})
}

// Validate returns all problems of the settings, joined. Each of them is a
// *media.FieldError with the key path below source.
func (c Config) Validate() error {
	var p problems
	switch c.Type {
	case TypeKVS:
		c.validateStreams(&p)
		c.validateKVS(&p)
		c.StartSelector.validate(&p)
	case TypeFile:
		c.validateFile(&p)
	case "":
		p.add("type", "is missing: write kvs or file")
	default:
		p.add("type", "%q is not a source type: write kvs or file", c.Type)
	}
	c.validateEnd(&p)
	for i, pair := range c.FragmentTags {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			p.add(fmt.Sprintf("fragment_tags[%d]", i), "%.140q is not the name of a tag and its value: write {NAME: VALUE}", pair)
		}
	}
	if c.MaxFragmentSize < minFragmentCap || c.MaxFragmentSize > maxFragmentCap {
		p.add("max_fragment_size", "%v is out of range, %v to %v", c.MaxFragmentSize, minFragmentCap, maxFragmentCap)
	}
	return errors.Join(p...)
}

// validateStreams checks the streams of a KVS source.
func (c Config) validateStreams(p *problems) {
	if len(c.Streams) == 0 {
		p.add("streams", "is empty: name at least one stream")
	}
	first := map[string]string{}
	for i, s := range c.Streams {
		key := fmt.Sprintf("streams[%d]", i)
		name, ok := StreamName(s)
		if IsPattern(s) && !strings.Contains(s, "=") {
			name, ok = s, isName(strings.NewReplacer("*", "x", "?", "x").Replace(s))
		}
		if !ok {
			p.add(key, "%.300q is neither a stream name (letters, digits, _ . -, at most 256; * and ? in a pattern) nor the ARN of a stream", s)
			continue
		}
		if other, taken := first[name]; taken {
			p.add(key, "is stream %s, as %s is", name, other)
			continue
		}
		first[name] = key
	}
}

// StreamName returns the name of a stream that is given by name or by ARN, or as an entry
// of `streams` that gives it another name, and false when it is none of these.
func StreamName(entry string) (string, bool) {
	as, nameOrARN, named := strings.Cut(entry, "=")
	if named {
		_, ok := StreamName(nameOrARN)
		return as, ok && isName(as) && !strings.Contains(nameOrARN, "=")
	}
	nameOrARN = entry
	if m := arnPattern().FindStringSubmatch(nameOrARN); m != nil {
		return m[1], len(nameOrARN) <= maxARN && isName(m[1])
	}
	return nameOrARN, isName(nameOrARN)
}

// StreamTarget returns the name or the ARN of the stream that an entry of `streams` stands
// for.
func StreamTarget(entry string) string {
	if _, nameOrARN, named := strings.Cut(entry, "="); named {
		return nameOrARN
	}
	return entry
}

// validateKVS checks the other keys of a KVS source.
func (c Config) validateKVS(p *problems) {
	switch c.Mode {
	case ModeLive:
	case ModeArchive, ModeAuto:
		c.validateStored(p)
	default:
		p.add("mode", "%q is not a mode: write live, archive or auto", c.Mode)
	}
	if c.EndpointURL != "" {
		u, err := url.Parse(c.EndpointURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			p.add("endpoint_url", "%q is not a URL such as https://host:port", c.EndpointURL)
		}
	}
	if len(c.Paths) > 0 {
		p.add("paths", "belongs to type file")
	}
	if c.Stream != "" {
		p.add("stream", "belongs to type file: a KVS source has streams")
	}
	if !c.StartTime.IsZero() {
		p.add("start_time", "belongs to type file: KVS tells when a fragment was recorded")
	}
}

// validateStored checks what reading an archive needs: a start that lies in the past and
// that the archive can be asked for.
func (c Config) validateStored(p *problems) {
	switch c.StartSelector.Type {
	case StartNow, StartContinuationToken:
		p.add("start_selector.type", "%s is no place in an archive: mode %s needs EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP or SERVER_TIMESTAMP", c.StartSelector.Type, c.Mode)
	}
}

// validate checks that the start selector says what its type needs and no more.
func (s StartSelector) validate(p *problems) {
	var wantTimestamp, wantNumber, wantToken bool
	switch s.Type {
	case StartNow, StartEarliest:
	case StartProducerTimestamp, StartServerTimestamp:
		wantTimestamp = true
	case StartFragmentNumber:
		wantNumber = true
	case StartContinuationToken:
		wantToken = true
	default:
		p.add("start_selector.type", "%q is not a start selector: write NOW, EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP, SERVER_TIMESTAMP or CONTINUATION_TOKEN", s.Type)
		return
	}
	s.need(p, "timestamp", !s.Timestamp.IsZero(), wantTimestamp)
	s.need(p, "after_fragment_number", s.AfterFragmentNumber != "", wantNumber)
	s.need(p, "continuation_token", s.ContinuationToken != "", wantToken)
	if n := s.AfterFragmentNumber; wantNumber && n != "" && !payload.IsFragmentNumber(n) {
		p.add("start_selector.after_fragment_number", "%.140q is not a fragment number (1 to %d digits)", n, payload.MaxNumber)
	}
	if t := s.ContinuationToken; wantToken && t != "" && (len(t) > maxToken || !wordPattern().MatchString(t)) {
		p.add("start_selector.continuation_token", "%.140q is not a continuation token", t)
	}
}

// need reports a key that is missing, or that does not belong to the type.
func (s StartSelector) need(p *problems, key string, given, wanted bool) {
	switch {
	case wanted && !given:
		p.add("start_selector."+key, "is missing: type %s needs it", s.Type)
	case given && !wanted:
		p.add("start_selector."+key, "does not belong to type %s", s.Type)
	}
}

// validateFile checks a file source. What is left at its default was not written.
func (c Config) validateFile(p *problems) {
	if len(c.Paths) == 0 {
		p.add("paths", "is empty: name at least one file, or - for standard input")
	}
	for i, path := range c.Paths {
		if strings.TrimSpace(path) == "" {
			p.add(fmt.Sprintf("paths[%d]", i), "is empty")
		}
	}
	d := DefaultConfig()
	for _, k := range []struct {
		key   string
		given bool
	}{
		{"streams", len(c.Streams) > 0},
		{"region", c.Region != ""},
		{"endpoint_url", c.EndpointURL != ""},
		{"mode", c.Mode != d.Mode && c.Mode != ""},
		{"start_selector", c.StartSelector != d.StartSelector && c.StartSelector != StartSelector{}},
	} {
		if k.given {
			p.add(k.key, "belongs to type kvs")
		}
	}
}

// validateEnd checks when the session ends.
func (c Config) validateEnd(p *problems) {
	if c.End.Duration < 0 {
		p.add("end.duration", "%v is negative", c.End.Duration)
	}
	if c.End.Fragments < 0 {
		p.add("end.fragments", "%d is negative", c.End.Fragments)
	}
	if c.End.IdleTimeout < 0 {
		p.add("end.idle_timeout", "%v is negative", c.End.IdleTimeout)
	}
	start := c.StartSelector.Timestamp
	if c.Type == TypeKVS && !c.End.Timestamp.IsZero() && !start.IsZero() && !c.End.Timestamp.After(start) {
		p.add("end.timestamp", "is not after start_selector.timestamp")
	}
}
