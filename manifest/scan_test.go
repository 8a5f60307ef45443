package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
)

// ledger returns a part of the ledger, with gaps at these seconds.
func ledger(t *testing.T, stream, sink string, seconds ...int) (part []byte) {
	t.Helper()
	for _, s := range seconds {
		line, err := json.Marshal(media.Gap{Stream: stream, Sink: sink, FragmentNumber: fmt.Sprint(s), ProducerTime: start.Add(time.Duration(s) * time.Second), Reason: media.GapCut})
		if err != nil {
			t.Fatal(err)
		}
		part = append(append(part, line...), '\n')
	}
	return part
}

func TestScanGivesRecordsAndThenGapsInOrder(t *testing.T) {
	for _, runs := range []int{1 << 20, 200} {
		manifest.SortInRunsOf(t, runs)
		from := held{
			"b.jsonl":      part(t, record("cam", 1, 0), record("cam", 1, 1)),
			"a.jsonl":      part(t, record("cam", 2, 0), record("barn", 3, 0)),
			"again.jsonl":  part(t, record("cam", 1, 0)),
			"gaps/2.jsonl": ledger(t, "cam", "thumbs", 11, 9),
			"gaps/1.jsonl": ledger(t, "cam", "thumbs", 10, 9),
			"gaps/3.jsonl": ledger(t, "cam", "raw", 9),
			"gaps/4.jsonl": nil, // as runs leave them that have read the fragment after all
			"other.jsonl":  []byte(`{"file_name":"a.jpg"}` + "\n"),
		}
		var got []string
		keep := func(line []byte) error {
			var r struct {
				Key, Sink      string
				FragmentNumber string `json:"fragment_number"`
			}
			if err := json.Unmarshal(line, &r); err != nil {
				return err
			}
			if r.Key == "" {
				r.Key = r.Sink + " lacks " + r.FragmentNumber
			}
			got = append(got, r.Key)
			return nil
		}
		counts, err := manifest.Scan(t.Context(), from, manifest.Options{Temp: t.TempDir()}, keep, keep)
		want := []string{
			record("barn", 3, 0).Key, record("cam", 1, 0).Key, record("cam", 1, 1).Key, record("cam", 2, 0).Key,
			"raw lacks 9", "thumbs lacks 9", "thumbs lacks 10", "thumbs lacks 11",
		}
		if err != nil || counts != (manifest.Counts{Parts: 6, Records: 4}) || !slices.Equal(got, want) {
			t.Errorf("in runs of %d bytes: %+v, %v, want %q, got %q", runs, counts, err, want, got)
		}
	}
}

func TestScanEndsWithAnError(t *testing.T) {
	full := errors.New("full")
	none := func([]byte) error { return nil }
	fail := func([]byte) error { return full }
	both := held{"a.jsonl": part(t, record("cam", 1, 0)), "b.jsonl": ledger(t, "cam", "thumbs", 1)}
	for _, test := range []struct {
		from        held
		record, gap func([]byte) error
		want        error
	}{
		{both, none, none, nil},
		{both, fail, none, full},
		{both, none, fail, full},
		{held{"b.jsonl": both["b.jsonl"]}, fail, none, nil},
		{held{"b.jsonl": nil}, none, none, manifest.ErrNoParts},
	} {
		if _, err := manifest.Scan(t.Context(), test.from, manifest.Options{}, test.record, test.gap); !errors.Is(err, test.want) {
			t.Errorf("%v: %v", test.want, err)
		}
	}
	mixed := held{"a.jsonl": slices.Concat(both["b.jsonl"], both["a.jsonl"])}
	if _, err := manifest.Scan(t.Context(), mixed, manifest.Options{}, none, none); err == nil || !bytes.Contains([]byte(err.Error()), []byte("a.jsonl: line 2: the line is no gap")) {
		t.Errorf("a ledger with a record: %v", err)
	}
}
