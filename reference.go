package kvsframes

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/internal/reference"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// WriteReference writes the reference of settings, names, records, documents and metrics in Markdown: sections of level 2, made from
// the declarations in the code. The variants are those of LoadOptions; nil is config.BuiltIn.
func WriteReference(w io.Writer, variants setting.Variants) error {
	var out strings.Builder
	out.WriteString(`
## Settings

The keys of pipeline.yaml, in the order of ` + "`kvsframes validate --print`" + `. Any of them can also be set by an environment variable,
KVSFRAMES_ and the key in capitals with dots as underscores (KVSFRAMES_SINKS_0_QUALITY), and by ` + "`--set key=value`" + `, which has precedence.
In the file, ${VAR}, ${VAR:-default} and ${VAR:?message} in a value are replaced. ` + "`kvsframes schema`" + ` prints a JSON Schema for editors.
`)
	if err := config.WriteReference(&out, variants); err != nil {
		return err
	}
	writePathTokens(&out)
	writeRecords(&out)
	writeDocuments(&out)
	writeImages(&out)
	writeMetrics(&out)
	_, err := io.WriteString(w, out.String())
	return err
}

func writePathTokens(w io.Writer) {
	fmt.Fprintf(w, "\n## Path tokens\n\nThe paths of images, and those of the parts of manifest and ledger, may have these tokens:\n")
	var rows [][]string
	for _, t := range sink.PathTokens() {
		where := "images"
		switch {
		case t.Ledger:
			where = "all"
		case t.Parts:
			where = "images, manifest"
		}
		rows = append(rows, []string{"{" + t.Name + "}", where, t.Doc})
	}
	reference.Table(w, []string{"Token", "In paths of", "Is"}, rows)
}

// ledgerRecord is how other tables name the record of a gap.
const ledgerRecord = "ledger record"

func writeRecords(w io.Writer) {
	fmt.Fprintf(w, "\n## Manifest records\n\nA line for each image ([records.md](records.md#manifest-records)). Times are RFC 3339, in UTC, with milliseconds.\n")
	reference.FieldTable(w, reference.Fields(sink.ManifestRecord{}, nil))
	fmt.Fprintf(w, "\n## Ledger records\n\nA line for each gap ([records.md](records.md#gaps)).\n")
	reference.FieldTable(w, reference.Fields(media.GapRecord{}, nil))
	fmt.Fprintf(w, "\n### Reasons of gaps\n")
	var rows [][]string
	for _, reason := range media.GapReason("").Values() {
		rows = append(rows, []string{reason, media.GapReason(reason).Meaning()})
	}
	reference.Table(w, []string{"Reason", "What"}, rows)
}

func writeDocuments(w io.Writer) {
	known := map[reflect.Type]string{
		reflect.TypeFor[media.Gap](): ledgerRecord, reflect.TypeFor[pipeline.Summary](): "stream summary", reflect.TypeFor[StreamPlan](): "stream plan", reflect.TypeFor[Prices](): "prices",
	}
	for _, d := range []struct {
		title, about string
		document     any
	}{
		{"Summary", "The document of `run --summary` ([records.md](records.md#summary)).", Summary{}},
		{"Summary of a stream", "A value of `streams` in the summary.", pipeline.Summary{}},
		{"Output of plan --json", "What a run would read and write.", Plan{}},
		{"Plan of a stream", "A value of `streams`, and `totals`, in the output of plan --json.", StreamPlan{}},
		{"Prices", "The key `prices` in the output of plan --json.", Prices{}},
		{"Output of inspect --json", "Each entry of the lists `files` and `streams` of the document, of which one without entries is absent.", Report{}},
	} {
		fmt.Fprintf(w, "\n## %s\n\n%s\n", d.title, d.about)
		reference.FieldTable(w, reference.Fields(d.document, known))
	}
}

func writeImages(w io.Writer) {
	fmt.Fprintf(w, "\n## EXIF\n\nThe fields in JPEG and PNG images with `exif: true`:\n")
	var rows [][]string
	for name, doc := range decode.ExifFields() {
		rows = append(rows, []string{name, doc})
	}
	reference.Table(w, []string{"Field", "Is"}, rows)
	fmt.Fprintf(w, "\n## Metadata of objects in S3\n\nThe user metadata of images, by `destination.metadata`; full has those of kvs, too. "+
		"All but visible ASCII, and the percent sign, is escaped as in a URL.\n")
	rows = nil
	for _, f := range s3.MetadataFields() {
		rows = append(rows, []string{f.Name, string(f.Set), f.Doc})
	}
	reference.Table(w, []string{"Name", "Set", "Is"}, rows)
}

func writeMetrics(w io.Writer) {
	fmt.Fprintf(w, "\n## Metrics\n\nWhat `service.http` serves at /metrics ([records.md](records.md#metrics)).\n")
	var rows [][]string
	for _, m := range metrics {
		rows = append(rows, []string{"kvsframes_" + m.name, m.kind, m.labels, m.help})
	}
	reference.Table(w, []string{"Metric", "Type", "Labels", "Is"}, rows)
}
