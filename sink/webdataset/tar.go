package webdataset

import (
	"archive/tar"
	"bytes"
	"fmt"
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
func (layout) Joins(_, _ media.Image) bool        { return true }
func (layout) NewPack(media.Image) sink.Pack      { return &pack{index: &bytes.Buffer{}} }
func (layout) NewEndless(media.Image) sink.Pack   { return &pack{} }

// pack makes one tar file.
type pack struct {
	size  int64 // so far
	count int
	index *bytes.Buffer // the lines of the samples; nil for no index
}

// Add implements sink.Pack.
func (p *pack) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	about, err := describe(r)
	if err != nil {
		return nil, err
	}
	key := Key(img)
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for i, member := range []struct {
		ext  string
		data []byte
	}{{img.Ext, img.Data}, {"json", about}} {
		name := key + "." + member.ext
		// Without a time the same samples give the same bytes.
		err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(member.data)), Format: tar.FormatUSTAR})
		if err != nil {
			return nil, fmt.Errorf("the name %s does not fit into a tar file that all readers know: %w", name, err)
		}
		if p.index != nil {
			separator := "\n"
			if i == 0 {
				separator = " "
			}
			fmt.Fprintf(p.index, "%s %d %d %s%s", member.ext, p.size+int64(b.Len()), len(member.data), name, separator)
		}
		if _, err := t.Write(member.data); err != nil {
			return nil, err
		}
		if err := t.Flush(); err != nil {
			return nil, err
		}
	}
	p.count++
	p.size += int64(b.Len())
	return [][]byte{b.Bytes()}, nil
}

// End implements sink.Pack.
func (p *pack) End() (end []byte, beside []sink.Companion, err error) {
	const blocks, blockSize = 2, 512
	end = make([]byte, blocks*blockSize)
	if p.index == nil {
		return end, nil, nil
	}
	index := fmt.Appendf(nil, "v1.2 %d\n%s", p.count, p.index.Bytes())
	return end, []sink.Companion{{Body: index, ContentType: "text/plain"}}, nil
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
