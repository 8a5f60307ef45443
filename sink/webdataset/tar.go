package webdataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// layout implements sink.Layout.
type layout struct{}

func (layout) Ext() string                        { return "tar" }
func (layout) ContentType() string                { return "application/x-tar" }
func (layout) Beside() []string                   { return []string{"idx"} }
func (layout) Inside(img media.Image) media.Image { return img }
func (layout) NewPack(media.Image) sink.Pack      { return &pack{index: &sink.Lines{}} }
func (layout) NewEndless(media.Image) sink.Pack   { return &pack{} }

// pack makes one tar file.
type pack struct {
	size  int64 // so far
	count int
	index *sink.Lines // the lines of the samples; nil for no index
}

// Joins implements sink.Pack.
func (*pack) Joins(media.Image) bool { return true }

// aboutExt is the extension of a sample's second member.
const aboutExt = "json"

// blockSize is that of a tar, in bytes. Headers have one block, and members fill their last one.
const blockSize = 512

// Add implements sink.Pack.
func (p *pack) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	about, err := describe(r)
	if err != nil {
		return nil, err
	}
	key := Key(img)
	before, err := p.begin(key, img.Ext, len(img.Data))
	if err != nil {
		return nil, err
	}
	between, err := p.begin(key, aboutExt, len(about))
	if err != nil {
		return nil, err
	}
	p.count++
	return [][]byte{before, img.Data, slices.Concat(rest(len(img.Data)), between, about, rest(len(about)))}, nil
}

// begin returns the header of a member of a size, and adds the member to the index.
func (p *pack) begin(key, ext string, size int) ([]byte, error) {
	var b bytes.Buffer
	name := key + "." + ext
	// Without a time the same samples give the same bytes.
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size), Format: tar.FormatUSTAR})
	if err != nil {
		return nil, fmt.Errorf("the name %s does not fit into a tar file that all readers know: %w", name, err)
	}
	if p.index != nil {
		separator := " "
		if ext == aboutExt {
			separator = "\n"
		}
		if _, err := fmt.Fprintf(p.index, "%s %d %d %s%s", ext, p.size+int64(b.Len()), size, name, separator); err != nil {
			return nil, err
		}
	}
	p.size += int64(b.Len() + size + len(rest(size)))
	return b.Bytes(), nil
}

// rest returns what fills the last block of a member of a size.
func rest(size int) []byte { return make([]byte, -size&(blockSize-1)) }

// End implements sink.Pack.
func (p *pack) End() (end []byte, beside []sink.Companion, err error) {
	const blocks = 2
	end = make([]byte, blocks*blockSize)
	if p.index == nil {
		return end, nil, nil
	}
	lines, err := p.index.All()
	index := fmt.Appendf(nil, "v1.2 %d\n%s", p.count, lines)
	return end, []sink.Companion{{Body: index, ContentType: "text/plain"}}, err
}

// names are the names of samples, before what they may not have is escaped.
var names = func() *sink.Template {
	t, err := sink.ParsePath("{stream}/{producer_time}_{fragment_number}_{frame_index}")
	if err != nil {
		panic(err)
	}
	return t
}()

// Key returns the name of a sample in a tar file, without an extension: the stream as a folder, and then capture time, fragment number and
// frame index. Whatever is neither a letter or digit of ASCII, nor - or _, is written as its bytes: %2E.
func Key(img media.Image) string {
	var b strings.Builder
	for _, c := range []byte(names.Image(img, "")) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// about is what the JSON file of a sample has: the record of the image, without the name of the tar. It has no lists, since loaders take
// their types from the first samples, where they may be empty. They are JSON in a text.
type about struct {
	sink.FlatRecord
	Label       string `json:"label"`
	Config      string `json:"config"`
	AnswersJSON string `json:"answers_json"`
	TagsJSON    string `json:"tags_json"`
	ScoresJSON  string `json:"scores_json"`
}

// describe returns the JSON file of a sample.
func describe(r sink.ManifestRecord) ([]byte, error) {
	a := about{FlatRecord: r.Flat(), Label: r.Label, Config: r.Config}
	for to, list := range map[*string]any{&a.AnswersJSON: r.Answers, &a.TagsJSON: r.Tags, &a.ScoresJSON: r.Scores} {
		text, err := sink.JSONLine(list)
		if err != nil {
			return nil, err
		}
		*to = strings.TrimSuffix(string(text), "\n")
	}
	return sink.JSONLine(a)
}
