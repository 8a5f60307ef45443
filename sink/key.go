package sink

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/internal/disk"
	"github.com/kvsframes/kvsframes/setting"
)

const (
	// MaxSegmentBytes is the largest size of one segment of a key, in bytes: the limit of Linux file systems.
	MaxSegmentBytes = 255
	// maxTemplateBytes is the largest size of a path template, in bytes.
	maxTemplateBytes = 1024

	// numberBytes bounds the value of fragment_number, minValueBytes the other names when a segment has to be
	// shortened.
	numberBytes   = 64
	minValueBytes = 24
)

// token is the text between braces in a path template.
type token string

const (
	tokenStream       token = "stream"
	tokenSink         token = "sink"
	tokenFragment     token = "fragment_number"
	tokenFrame        token = "frame_index"
	tokenProducerTime token = "producer_time"
	tokenServerTime   token = "server_time"
	tokenDate         token = "producer_date"
	tokenHour         token = "producer_hour"
	tokenPTS          token = "pts_ms"
	tokenWidth        token = "width"
	tokenHeight       token = "height"
	tokenExt          token = "ext"
	tokenRunID        token = "run_id"
	tokenHash         token = "hash2"
	// tokenTag stands for the tokens {tag:NAME} of all names.
	tokenTag token = tagPrefix + "NAME"

	tagPrefix = "tag:"
)

// PathToken describes a token of path templates.
type PathToken struct {
	// Name is the token without its braces.
	Name string
	// Parts reports whether it may appear in the path of a manifest part: it describes a whole fragment.
	// Ledger reports the same of a ledger part.
	Parts, Ledger bool
	// Doc states what stands in its place.
	Doc string
}

var pathTokens = []PathToken{
	{string(tokenStream), true, true, "the name of the stream"},
	{string(tokenSink), true, true, "the name of the sink"},
	{string(tokenFragment), true, true, "the number of the fragment as KVS gives it; of a plain MKV file six digits"},
	{string(tokenFrame), false, false, "the place of the frame in its fragment, six digits"},
	{string(tokenProducerTime), true, true, "the time on the clock of the producer, in UTC: 20260304T050607_089Z; of a part, that of its fragment"},
	{string(tokenServerTime), true, true, "the same on the clock of the server"},
	{string(tokenDate), true, true, "the date on the clock of the producer, in UTC: 2026-03-04"},
	{string(tokenHour), true, true, "the hour on that clock: 05"},
	{string(tokenPTS), false, false, "milliseconds from the start of the fragment"},
	{string(tokenWidth), false, false, "the width of the image in pixels"},
	{string(tokenHeight), false, false, "the height of the image in pixels"},
	{string(tokenExt), false, false, "the extension of the form of the image: jpg"},
	{string(tokenRunID), true, true, "the name of the run"},
	{string(tokenHash), true, true, "two hex digits of the hash of the rest, to spread the prefixes of S3"},
	{string(tokenTag), true, false, "the value of the first tag of that name of the fragment; none if there is no such tag or it is empty"},
}

// PathTokens returns the tokens that may appear in the path of an image.
func PathTokens() []PathToken { return slices.Clone(pathTokens) }

// imageTokens may appear in the path of an image, partTokens in that of a manifest.
var (
	imageTokens = tokensOf(func(PathToken) bool { return true })
	partTokens  = tokensOf(func(t PathToken) bool { return t.Parts })
	// distinguishing tell keys apart. A tag beside one of them could look like a part of it.
	distinguishing = []token{tokenStream, tokenFragment, tokenFrame, tokenRunID}
)

func tokensOf(wanted func(PathToken) bool) (tokens []token) {
	for _, t := range pathTokens {
		if wanted(t) {
			tokens = append(tokens, token(t.Name))
		}
	}
	return tokens
}

// piece is a literal or, if token is not empty, a token.
type piece struct {
	literal string
	token   token
	tag     string // the name in {tag:NAME}
}

// String returns a token as it is written in a template.
func (p piece) String() string {
	if p.token == tokenTag {
		return "{" + tagPrefix + p.tag + "}"
	}
	return "{" + string(p.token) + "}"
}

// Template is a parsed path template. Expanding it yields a key: relative, in valid UTF-8 without control
// characters, its segments of 1 to MaxSegmentBytes bytes separated by slashes, none of them `.` or `..`. A
// Template is immutable.
type Template struct {
	text     string
	segments [][]piece
}

// ParsePath parses the template of an image's key.
func ParsePath(text string) (*Template, error) {
	return parseTemplate(text, imageTokens, "")
}

// ParseManifestPath parses the template of a manifest part's key. A part describes a fragment, so tokens of
// a single frame are errors.
func ParseManifestPath(text string) (*Template, error) {
	return parseTemplate(text, partTokens, "names a frame, and a manifest has one part for each fragment")
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Distinction states which items get different keys from a template.
type Distinction struct {
	// Frames: no two frames of one stream have the same key. This requires {fragment_number} and
	// {frame_index}: clocks repeat when a producer is restarted or set back, and presentation times repeat in
	// real recordings.
	Frames bool
	// Fragments: no two fragments of one stream have the same key.
	Fragments bool
	// Streams, Sinks and Runs: the key names the stream, the sink, the run.
	Streams, Sinks, Runs bool
}

// Distinguishes returns what the keys of the template distinguish.
func (t *Template) Distinguishes() Distinction {
	return Distinction{
		Frames:    t.has(tokenFragment) && t.has(tokenFrame),
		Fragments: t.has(tokenFragment),
		Streams:   t.has(tokenStream),
		Sinks:     t.has(tokenSink),
		Runs:      t.has(tokenRunID),
	}
}

func (t *Template) has(want token) bool {
	for _, segment := range t.segments {
		if slices.ContainsFunc(segment, func(p piece) bool { return p.token == want }) {
			return true
		}
	}
	return false
}

func parseTemplate(text string, allowed []token, reason string) (*Template, error) {
	switch {
	case text == "":
		return nil, errors.New("is empty")
	case len(text) > maxTemplateBytes:
		return nil, fmt.Errorf("its size (%d bytes) is too big, maximum is %d", len(text), maxTemplateBytes)
	case !utf8.ValidString(text):
		return nil, errors.New("is not valid UTF-8")
	case strings.HasPrefix(text, "/"):
		return nil, errors.New("starts with a slash: keys are relative to the destination")
	case strings.Contains(text, `\`):
		return nil, errors.New("has a backslash: segments are separated by slashes")
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("has a control character")
	}
	t := &Template{text: text}
	for segment := range strings.SplitSeq(text, "/") {
		pieces, err := parseSegment(segment, allowed, reason)
		if err != nil {
			return nil, err
		}
		t.segments = append(t.segments, pieces)
	}
	return t, nil
}

func parseSegment(text string, allowed []token, reason string) ([]piece, error) {
	switch {
	case text == "":
		return nil, errors.New("has an empty segment (two slashes in a row, or one at the end)")
	case text == "." || text == "..":
		return nil, fmt.Errorf("has the segment %q: keys stay inside the destination", text)
	case strings.HasPrefix(text, disk.TempPrefix):
		return nil, fmt.Errorf("has a segment that starts with %s, which is kept for unfinished files", disk.TempPrefix)
	}
	var pieces []piece
	for rest := text; rest != ""; {
		p, size, err := nextPiece(rest, allowed, reason)
		if err != nil {
			return nil, err
		}
		if len(pieces) > 0 && runTogether(pieces[len(pieces)-1].token, p.token) {
			return nil, fmt.Errorf("needs a character between %s and %s to keep their digits apart", pieces[len(pieces)-1], p)
		}
		pieces = append(pieces, p)
		rest = rest[size:]
	}
	if tag := slices.IndexFunc(pieces, func(p piece) bool { return p.token == tokenTag }); tag >= 0 {
		for _, p := range pieces {
			if slices.Contains(distinguishing, p.token) {
				return nil, fmt.Errorf("needs a slash between %s and %s: a tag's text can be anything, and look like a part of the other", pieces[tag], p)
			}
		}
	}
	if least := leastBytes(pieces); least > MaxSegmentBytes {
		return nil, fmt.Errorf("has a segment that can have %d bytes, maximum is %d", least, MaxSegmentBytes)
	}
	return pieces, nil
}

// nextPiece returns the first piece of text and its size in bytes.
func nextPiece(text string, allowed []token, reason string) (piece, int, error) {
	if text[0] == '}' {
		return piece{}, 0, errors.New("has a } without a {")
	}
	if text[0] != '{' {
		end := strings.IndexAny(text, "{}")
		if end < 0 {
			end = len(text)
		}
		return piece{literal: text[:end]}, end, nil
	}
	end := strings.IndexByte(text, '}')
	if end < 0 {
		return piece{}, 0, errors.New("has a { without a }")
	}
	t := token(text[1:end])
	if name, ok := strings.CutPrefix(string(t), tagPrefix); ok && name != "" {
		return piece{token: tokenTag, tag: name}, end + 1, nil
	}
	if slices.Contains(allowed, t) {
		return piece{token: t}, end + 1, nil
	}
	if slices.Contains(imageTokens, t) {
		return piece{}, 0, fmt.Errorf("{%s} %s", t, reason)
	}
	hint := "known are {" + strings.Join(tokenNames(allowed), "} {") + "}"
	if near, ok := setting.Nearest(string(t), tokenNames(allowed)); ok {
		hint = "did you mean {" + near + "}?"
	}
	return piece{}, 0, fmt.Errorf("unknown token {%s} (%s)", t, hint)
}

func tokenNames(tokens []token) []string {
	names := make([]string, len(tokens))
	for i, t := range tokens {
		names[i] = string(t)
	}
	return names
}

// runTogether reports whether a and b are numbers of which one has no fixed width, so that 1 and 23 would
// read like 12 and 3.
func runTogether(a, b token) bool {
	if a == "" || b == "" {
		return false
	}
	loose := []token{tokenPTS, tokenWidth, tokenHeight}
	return slices.Contains(loose, a) || slices.Contains(loose, b)
}

// leastBytes returns the smallest size that a segment can always be shortened to.
func leastBytes(pieces []piece) int {
	n := 0
	for _, p := range pieces {
		switch p.token {
		case "":
			n += len(p.literal)
		case tokenFragment:
			n += numberBytes
		case tokenHash:
			n += hashBytes
		case tokenStream, tokenSink, tokenRunID, tokenExt, tokenTag:
			n += minValueBytes
		default:
			n += len("-9223372036854775808") // times have 20 bytes as well
		}
	}
	return n
}
