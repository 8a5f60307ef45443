package manifest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// writer writes a manifest, a record at a time.
type writer interface {
	// write takes the line of a record. It returns errNoPlace for a record that the form does not have.
	write(line []byte) error
	// end writes what is left.
	end() error
}

// errNoPlace is returned for a record that a form has no place for.
var errNoPlace = errors.New("the image is no file")

func newWriter(to io.Writer, o Options) (writer, error) {
	switch o.Format {
	case JSONL:
		return lines{to}, nil
	case CSV:
		w := csv.NewWriter(to)
		return &table{w}, w.Write(columns)
	case Parquet:
		return newParquet(to), nil
	case ImageFolder:
		return objects{to, func(r *sink.ManifestRecord) any { return newFolderRecord(r) }}, nil
	case SageMaker:
		if !strings.HasPrefix(o.Base, "s3://") {
			return nil, errors.New("the form sagemaker states where images are in S3, and these are not: want s3://BUCKET/PREFIX")
		}
		base := strings.TrimSuffix(o.Base, "/") + "/"
		return objects{to, func(r *sink.ManifestRecord) any { return augmented{base + r.Key} }}, nil
	case CVAT:
		_, err := io.WriteString(to, `{"version":"1.1"}`+"\n"+`{"type":"images"}`+"\n")
		return objects{to, func(r *sink.ManifestRecord) any { return newTaskImage(r) }}, err
	}
	return nil, setting.CheckValue(string(o.Format), o.Format.Values(), nil)
}

// lines writes the records as they are.
type lines struct{ to io.Writer }

func (w lines) write(line []byte) error {
	if _, err := w.to.Write(line); err != nil {
		return err
	}
	_, err := w.to.Write([]byte{'\n'})
	return err
}

func (lines) end() error { return nil }

// columns are those of the table: filepath, which FiftyOne takes for the image, and the record.
var columns = []string{
	"filepath", "stream", "fragment_number", "frame_index", "producer_timestamp", "server_timestamp", "pts_ms", "keyframe", "concealed",
	"width", "height", "sink", "key", "format", "shape_json", "bytes", "sha256", "answers_json", "tags_json", "label", "scores_json", "config",
}

// table writes CSV.
type table struct{ *csv.Writer }

func (w *table) write(line []byte) error {
	r, err := parse(line)
	if err != nil {
		return err
	}
	return w.Write([]string{
		r.Key, r.Stream, r.FragmentNumber, strconv.Itoa(r.FrameIndex), r.ProducerTimestamp, r.ServerTimestamp,
		strconv.FormatInt(r.PTSMillis, 10), strconv.FormatBool(r.Keyframe), strconv.FormatBool(r.Concealed),
		strconv.Itoa(r.Width), strconv.Itoa(r.Height), r.Sink, r.Key, r.Format, text(r.Shape), strconv.FormatInt(r.Bytes, 10), r.SHA256,
		text(r.Answers), text(r.Tags), r.Label, text(r.Scores), r.Config,
	})
}

func (w *table) end() error {
	w.Flush()
	return w.Error()
}

// text returns a list as JSON.
func text(list any) string {
	line, err := sink.JSONLine(list)
	if err != nil { // lists of texts and numbers
		panic(err)
	}
	return strings.TrimSuffix(string(line), "\n")
}

// objects writes a line of JSON for each image that is a file.
type objects struct {
	to   io.Writer
	line func(r *sink.ManifestRecord) any
}

// imageExts are the extensions by which loaders of folders know the images that sinks make.
var imageExts = []string{".jpg", ".jpeg", ".png"}

func (w objects) write(line []byte) error {
	r, err := parse(line)
	if err != nil {
		return err
	}
	if r.Format != "jpeg" && r.Format != "png" || !slices.Contains(imageExts, strings.ToLower(path.Ext(r.Key))) {
		return errNoPlace
	}
	out, err := sink.JSONLine(w.line(r))
	if err != nil {
		return err
	}
	_, err = w.to.Write(out)
	return err
}

func (objects) end() error { return nil }

// folderRecord is a line of the metadata.jsonl of an image folder. The loader of Hugging Face takes the types of the columns from each ten
// megabytes anew (datasets, folder_based_builder.py, _read_metadata), and an empty list has another type than one of texts:
// so lists are JSON in texts.
type folderRecord struct {
	// FileName is relative to the folder of the metadata.
	FileName string `json:"file_name"`
	sink.FlatRecord
	AnswersJSON string `json:"answers_json"`
	TagsJSON    string `json:"tags_json"`
	Label       string `json:"label"`
	ScoresJSON  string `json:"scores_json"`
	Config      string `json:"config"`
}

func newFolderRecord(r *sink.ManifestRecord) folderRecord {
	return folderRecord{
		FileName: r.Key, FlatRecord: r.Flat(),
		AnswersJSON: text(r.Answers), TagsJSON: text(r.Tags), Label: r.Label, ScoresJSON: text(r.Scores), Config: r.Config,
	}
}

// augmented is a line of an augmented manifest file (Amazon SageMaker Developer Guide, Augmented Manifest Files for Training Jobs).
type augmented struct {
	SourceRef string `json:"source-ref"`
}

// taskImage is a line of CVAT's manifest of images (CVAT, Dataset Manifest). Checksums, which are MD5, are optional.
type taskImage struct {
	Name      string `json:"name"` // without the extension
	Extension string `json:"extension"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Meta      struct {
		RelatedImages []string `json:"related_images"`
	} `json:"meta"`
}

func newTaskImage(r *sink.ManifestRecord) taskImage {
	ext := path.Ext(r.Key)
	i := taskImage{Name: strings.TrimSuffix(r.Key, ext), Extension: ext, Width: r.Width, Height: r.Height}
	i.Meta.RelatedImages = []string{}
	return i
}

// badTime returns the error for a time of a record that is none.
func badTime(name, value string) error { return fmt.Errorf("%s %q is no time", name, value) }
