// Package manifest puts the manifest parts of runs together into one file, in the forms that tools and loaders read.
//
// What it writes depends on the records of the parts alone: by stream, then by capture time, fragment and frame. Memory does not grow with the
// number of records: what does not fit is sorted in temporary files.
package manifest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kvsframes/kvsframes/setting"
)

// Format is the form of a manifest.
type Format string

// The forms: the records themselves, as JSON Lines; one table for spreadsheets, pandas and FiftyOne; one for query engines, in Parquet; the
// metadata of a folder of images for Hugging Face; the augmented manifest of SageMaker and Ground Truth; the manifest of CVAT.
const (
	JSONL       Format = "jsonl"
	CSV         Format = "csv"
	Parquet     Format = "parquet"
	ImageFolder Format = "imagefolder"
	SageMaker   Format = "sagemaker"
	CVAT        Format = "cvat"
)

// Values returns the forms.
func (Format) Values() []string {
	return setting.Texts(JSONL, CSV, Parquet, ImageFolder, SageMaker, CVAT)
}

// Objects are the objects of a folder or of a part of a bucket. Keys are relative to it, and separated by slashes. Several goroutines may call
// Open at once.
type Objects interface {
	// List calls visit with the key of each object, in any order, until that returns an error.
	List(ctx context.Context, visit func(key string) error) error
	// Open returns the content of an object, which the caller closes. Without an object it returns an error that is fs.ErrNotExist.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Options are the settings of Write.
type Options struct {
	Format Format
	// Base is the URL, such as s3://bucket/prefix, below which the images are. Form SageMaker needs it.
	Base string
	// Except is the key of an object that is not read: the one that is being written.
	Except string
	// Temp is the folder for temporary files; "" is that of the system.
	Temp string
}

// Counts says what Write has done.
type Counts struct {
	// Parts is the number of parts that were read, Records that of the records that were written.
	Parts, Records int64
	// LeftOut is the number of records that the form has no place for: images that are no file of their own, or no JPEG or PNG.
	LeftOut int64
}

// ErrNoParts is returned by Write when there is no manifest part.
var ErrNoParts = errors.New("no manifest part is there")

// Write reads the manifest parts among some objects, and writes their records in one of the forms. Parts are the objects whose names end with
// .jsonl and whose first line is a record: parts of the ledger and other files are passed over. Records of the same image are
// written once.
func Write(ctx context.Context, from Objects, to io.Writer, o Options) (Counts, error) {
	out := bufio.NewWriterSize(to, 1<<20)
	w, err := newWriter(out, o)
	if err != nil {
		return Counts{}, err
	}
	s := &sorter{temp: o.Temp}
	defer s.close()
	counts := Counts{}
	if counts.Parts, err = read(ctx, from, o.Except, kind{placeOf, s}); err != nil {
		return counts, err
	}
	if counts.Parts == 0 {
		return counts, ErrNoParts
	}
	err = s.each(ctx, func(line []byte) error {
		switch err := w.write(line); {
		case errors.Is(err, errNoPlace):
			counts.LeftOut++
		case err != nil:
			return fmt.Errorf("write manifest: %w", err)
		default:
			counts.Records++
		}
		return nil
	})
	if err != nil {
		return counts, err
	}
	if err := errors.Join(w.end(), out.Flush()); err != nil {
		return counts, fmt.Errorf("write manifest: %w", err)
	}
	return counts, nil
}

// Scan reads the manifest parts and the parts of the ledger among some objects. It calls record with each record, as Write orders them, and
// then gap with each gap: by stream, then by the time of its beginning. Both get a line of JSON, which is theirs, and their errors end it. What is there twice is
// passed on once, and what a later repair has closed is not. Of the options Except and Temp matter. Parts counts those of both kinds.
func Scan(ctx context.Context, from Objects, o Options, record, gap func(line []byte) error) (Counts, error) {
	records, gaps := &sorter{temp: o.Temp}, &sorter{temp: o.Temp}
	defer records.close()
	defer gaps.close()
	counts := Counts{}
	var err error
	if counts.Parts, err = read(ctx, from, o.Except, kind{placeOf, records}, kind{placeOfGap, gaps}); err != nil {
		return counts, err
	}
	if counts.Parts == 0 {
		return counts, ErrNoParts
	}
	err = records.each(ctx, func(line []byte) error {
		counts.Records++
		return record(line)
	})
	if err != nil {
		return counts, err
	}
	return counts, gaps.open(ctx, gap)
}

// Gaps calls gap with each gap in the parts of the ledger among some objects, as Scan does. Without any there are no gaps.
func Gaps(ctx context.Context, from Objects, o Options, gap func(line []byte) error) error {
	gaps := &sorter{temp: o.Temp}
	defer gaps.close()
	if _, err := read(ctx, from, o.Except, kind{placeOfGap, gaps}); err != nil {
		return err
	}
	return gaps.open(ctx, gap)
}
