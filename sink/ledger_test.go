package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

func TestTheLedgerNamesWhatTheSinkDidNotGet(t *testing.T) {
	store := sink.NewMem()
	s := newSink(t, store, nil)
	w := s.NewWriter()
	after := fragment().Place()
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	lost := media.Gap{Stream: "front-door", FragmentNumber: "12", FrameIndex: media.WholeFragment, ProducerTime: at, Reason: media.GapMissing, Detail: "it has expired"}
	cut := media.Gap{Stream: "front-door", FragmentNumber: "13", FrameIndex: 3, FramesLost: 2, Reason: media.GapCut, Detail: "cut"}
	hole := media.Gap{Stream: "front-door", FrameIndex: media.WholeFragment, Reason: media.GapOutage, Detail: "a hole"}
	miss := media.Gap{Stream: "front-door", FrameIndex: media.WholeFragment, Sink: "thumbs", AskedFor: []time.Time{at}, Reason: media.GapNoFrame, Detail: "none"}
	skipped := media.Gap{Stream: "front-door", FragmentNumber: fragmentNumber, FrameIndex: media.WholeFragment, Until: media.Place{Number: "99", ProducerTime: at}, Reason: media.GapLeftOut, Detail: "skipped"}
	for _, gaps := range [][]media.Gap{{lost}, {cut, cut}, {hole}, {hole}, {skipped}, {miss}, nil} {
		if err := w.Gaps(t.Context(), after, gaps); err != nil {
			t.Fatal(err)
		}
	}
	const line = `{"stream":"front-door","sink":"thumbs","fragment_number":`
	cutLine := line + `"13","from_frame":3,"frames_lost":2,"producer_timestamp":"","until_fragment":"","until":"","asked_for":[],"reason":"cut","detail":"cut"}` + "\n"
	holeLine := line + `"","from_frame":-1,"frames_lost":0,"producer_timestamp":"","until_fragment":"","until":"","asked_for":[],"reason":"outage","detail":"a hole"}` + "\n"
	skippedLine := line + `"` + fragmentNumber + `","from_frame":-1,"frames_lost":0,"producer_timestamp":"","until_fragment":"99","until":"2026-03-04T05:06:07.089Z","asked_for":[],"reason":"left_out","detail":"skipped"}` + "\n"
	want := map[string]string{
		"front-door/gaps/thumbs/12.jsonl":                           line + `"12","from_frame":-1,"frames_lost":0,"producer_timestamp":"2026-03-04T05:06:07.089Z","until_fragment":"","until":"","asked_for":[],"reason":"missing","detail":"it has expired"}` + "\n",
		"front-door/gaps/thumbs/13.jsonl":                           cutLine + cutLine,
		"front-door/gaps/thumbs/" + fragmentNumber + "-after.jsonl": holeLine + holeLine + skippedLine,
		"front-door/gaps/thumbs/" + fragmentNumber + "-end.jsonl":   line + `"","from_frame":-1,"frames_lost":0,"producer_timestamp":"","until_fragment":"","until":"","asked_for":["2026-03-04T05:06:07.089Z"],"reason":"no_frame","detail":"none"}` + "\n",
	}
	for key, text := range want {
		wantObject(t, store, key, text)
	}
	if keys := store.Keys(); len(keys) != len(want) {
		t.Errorf("keys %q", keys)
	}
}

// TestALedgerOfAnEarlierRunIsEmptiedWhereItIsNoLongerSo has a run that was killed after it had found fragments that were cut, and a hole.
// The next one reads them whole, but for one.
func TestALedgerOfAnEarlierRunIsEmptiedWhereItIsNoLongerSo(t *testing.T) {
	cut := func(number string) media.Gap {
		return media.Gap{Stream: "front-door", FragmentNumber: number, FrameIndex: 3, FramesLost: 2, Reason: media.GapCut, Detail: strings.Repeat("cut ", 100)}
	}
	hole := media.Gap{Stream: "front-door", FrameIndex: media.WholeFragment, Reason: media.GapOutage}
	end := func(w *sink.Writer, number string) {
		t.Helper()
		f := fragment()
		f.Number = number
		if err := w.EndFragment(t.Context(), f, func(media.Receipt) {}); err != nil {
			t.Fatal(err)
		}
	}
	gaps := func(w *sink.Writer, after string, gaps ...media.Gap) {
		t.Helper()
		if err := w.Gaps(t.Context(), media.Place{Number: after}, gaps); err != nil {
			t.Fatal(err)
		}
	}
	const folder = "front-door/gaps/thumbs/"
	for _, test := range []struct {
		name  string
		after *media.Place
		want  string // the parts that are not empty
	}{
		{"after the first", &media.Place{Number: "11"}, "11.jsonl 13.jsonl 14-after.jsonl"},
		{"from the start", &media.Place{}, "13.jsonl 14-after.jsonl"},
		{"as the first run", nil, "11-after.jsonl 11.jsonl 12.jsonl 13-2.jsonl 13-after.jsonl 13.jsonl 14-after.jsonl"},
	} {
		store := sink.NewMem()
		s := newSink(t, store, nil)
		w := s.NewWriter()
		gaps(w, "10", cut("11"))
		gaps(w, "11", hole)
		gaps(w, "11", cut("12"))
		gaps(w, "12", slices.Repeat([]media.Gap{cut("13")}, 40)...) // two parts
		gaps(w, "13", hole)
		if keys := strings.Join(store.Keys(), " "); !strings.Contains(keys, "13-2.jsonl") {
			t.Fatalf("keys %s", keys)
		}

		w = s.Continue(sink.Continuation{After: test.after})
		end(w, "11") // read again, for what it is referred to
		end(w, "12")
		gaps(w, "12", cut("13"))
		end(w, "13")
		end(w, "14")
		gaps(w, "14", hole)
		end(w, "15")
		var left []string
		for _, key := range store.Keys() {
			if object, _ := store.Get(key); len(object.Body) > 0 {
				left = append(left, strings.TrimPrefix(key, folder))
			}
		}
		if got := strings.Join(left, " "); got != test.want {
			t.Errorf("%s: %s are left, want %s", test.name, got, test.want)
		}
	}
}

func TestThereMayBeNoLedger(t *testing.T) {
	store := sink.NewMem()
	s := newSink(t, store, func(c *sink.Config) { c.Ledger.Path = "" })
	gap := media.Gap{Stream: "front-door", FragmentNumber: "12", Reason: media.GapMissing}
	if err := s.NewWriter().Gaps(t.Context(), media.Place{}, []media.Gap{gap}); err != nil || len(store.Keys()) > 0 {
		t.Errorf("keys %q, %v", store.Keys(), err)
	}
}

func TestALedgerThatCannotBeWrittenIsAnError(t *testing.T) {
	broken := errors.New("broken")
	store := &flaky{Mem: sink.NewMem(), until: time.Now().Add(time.Hour), err: broken}
	gap := media.Gap{Stream: "front-door", FragmentNumber: "12", Reason: media.GapMissing}
	err := newSink(t, store, nil).NewWriter().Gaps(t.Context(), media.Place{}, []media.Gap{gap})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "write ledger") {
		t.Errorf("error %v", err)
	}
}

func TestPathsOfLedgersAreChecked(t *testing.T) {
	c := named("a")
	for path, want := range map[string][]string{
		"gaps.jsonl":                     {"ledger.path: does not distinguish fragments: use {fragment_number}"},
		"{frame_index}.jsonl":            {"ledger.path: {frame_index} names a frame, and a manifest has one part for each fragment"},
		"{fragment_number}.jsonl":        nil,
		"":                               nil,
		"{stream}/{fragment_number}.txt": nil,
	} {
		c.Ledger.Path = path
		if got := problems(t, c.Validate()); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestGapsOfOnePlaceStayTogetherWhateverComesBetween(t *testing.T) {
	store := sink.NewMem()
	w := newSink(t, store, nil).NewWriter()
	after := fragment().Place()
	gap := func(number string, reason media.GapReason, detail string) {
		t.Helper()
		g := media.Gap{Stream: "front-door", FragmentNumber: number, FrameIndex: media.WholeFragment, Reason: reason, Detail: detail}
		if err := w.Gaps(t.Context(), after, []media.Gap{g}); err != nil {
			t.Fatal(err)
		}
	}
	gap("12", media.GapMissing, "1")
	gap("", media.GapOutage, "2")
	gap("13", media.GapMissing, "3")
	gap("", media.GapOutage, "4")
	gap("12", media.GapConflict, "5")
	gap("", media.GapNoFrame, "6")
	for name, want := range map[string]string{"12": "1", "13": "3", fragmentNumber + "-after": "2 4 5", fragmentNumber + "-end": "6"} {
		if got := details(t, store, "front-door/gaps/thumbs/"+name+".jsonl"); strings.Join(got, " ") != want {
			t.Errorf("part %s has gaps %q, want %q", name, got, want)
		}
	}
	if keys := store.Keys(); len(keys) != 4 {
		t.Errorf("keys %q", keys)
	}
}

// details returns the details of the gaps in a part.
func details(t *testing.T, store *sink.Mem, key string) (all []string) {
	t.Helper()
	object, err := store.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(object.Body) {
		var g struct{ Detail string }
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatal(err)
		}
		all = append(all, g.Detail)
	}
	return all
}

// TestEachOfManyGapsOfOnePlaceIsInOnePart has many gaps between two fragments, one by one and at once.
func TestEachOfManyGapsOfOnePlaceIsInOnePart(t *testing.T) {
	const many = 3000
	gaps := make([]media.Gap, many)
	for i := range gaps {
		gaps[i] = media.Gap{Stream: "front-door", FrameIndex: media.WholeFragment, Reason: media.GapOutage, Detail: strconv.Itoa(i)}
	}
	var keys []string
	for _, each := range []int{1, 7, many} {
		store := &weighed{Mem: sink.NewMem()}
		w := newSink(t, store, nil).NewWriter()
		for some := range slices.Chunk(gaps, each) {
			if err := w.Gaps(t.Context(), fragment().Place(), some); err != nil {
				t.Fatal(err)
			}
		}
		if limit := many/each*20_000 + 1_000_000; store.bytes > limit {
			t.Errorf("%d at once: %d bytes were written, limit is %d", each, store.bytes, limit)
		}
		var got []string
		first := "front-door/gaps/thumbs/" + fragmentNumber + "-after"
		for n := 1; n <= len(store.Keys()); n++ {
			key := first + ".jsonl"
			if n > 1 {
				key = fmt.Sprintf("%s-%d.jsonl", first, n)
			}
			got = append(got, details(t, store.Mem, key)...)
		}
		for i, detail := range got {
			if len(got) != many || detail != strconv.Itoa(i) {
				t.Fatalf("%d at once: gap %d of %d is %s", each, i, len(got), detail)
			}
		}
		// The parts do not depend on how the gaps came, so that a later run replaces them.
		if keys == nil {
			keys = store.Keys()
		}
		if !slices.Equal(store.Keys(), keys) || len(keys) < 2 {
			t.Errorf("%d at once: keys %q, were %q", each, store.Keys(), keys)
		}
	}
}

// weighed is a store that counts the bytes that are put.
type weighed struct {
	*sink.Mem
	bytes int
}

func (s *weighed) Put(ctx context.Context, key string, body []byte, o sink.PutOptions) error {
	s.bytes += len(body)
	return s.Mem.Put(ctx, key, body, o)
}
