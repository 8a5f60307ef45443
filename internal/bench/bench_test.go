package main

import (
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTableIsWrittenBetweenItsLinesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.md")
	for _, text := range []string{"old\n", "new\n"} {
		if _, err := os.Stat(path); err != nil {
			if err := os.WriteFile(path, []byte("by hand\n"+tableBegin+"\n"+tableEnd+"\nby hand too\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := replaceTable(path, text); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if want := "by hand\n" + tableBegin + "\n\nnew\n\n" + tableEnd + "\nby hand too\n"; err != nil || string(got) != want {
		t.Errorf("got %q, want %q, %v", got, want, err)
	}
}

func TestDocsHaveAPlaceForTheTable(t *testing.T) {
	data, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if begin, end := strings.Index(string(data), tableBegin), strings.Index(string(data), tableEnd); begin < 0 || end < begin {
		t.Errorf("lines at %d and %d", begin, end)
	}
}

func TestTheReferenceIsTheFastestExactSettingOfFFmpeg(t *testing.T) {
	of := func(name string, exact bool, seconds float64, failure string) *contender {
		return &contender{name: name, exact: exact, failure: failure, samples: []sample{{Wall: seconds}}}
	}
	peers := []*contender{
		of("ffmpeg, default threads", true, 3, ""),
		of("ffmpeg -threads 1", true, 2, ""),
		of("ffmpeg -threads CORES", true, 1, "it failed"),
		of("ffmpeg -skip_frame noref (not exact)", false, 1, ""),
		of("PyAV", true, 1, ""),
	}
	if got := best(peers); got != peers[1] {
		t.Errorf("got %v", got)
	}
	// Far from the best is the first; what failed is out; the others are of no program's best setting.
	if got := contenders(peers); len(got) != 3 || got[0] != peers[1] || got[1] != peers[3] || got[2] != peers[4] {
		t.Errorf("%d contenders go on: %v", len(got), got)
	}
}

func TestARatioIsTheMedianOfTheRounds(t *testing.T) {
	ours := []sample{{Wall: 1}, {Wall: 2}, {Wall: 4}}
	theirs := []sample{{Wall: 3}, {Wall: 4}, {Wall: 4}}
	if got := paired(ours, theirs, wall); got != 2 {
		t.Errorf("got %v", got)
	}
}

// Grey has the same luma in both matrices; pure colours are known from the standards.
func TestIdealColoursOfAJPEG(t *testing.T) {
	for _, test := range []struct{ in, spread, jfif [3]float64 }{
		{[3]float64{16, 128, 128}, [3]float64{0, 128, 128}, [3]float64{0, 128, 128}},
		{[3]float64{235, 128, 128}, [3]float64{255, 128, 128}, [3]float64{255, 128, 128}},
		// Red in BT.709: Y 63, Cb 102, Cr 240. In JFIF: 76, 85, 255.
		{[3]float64{62.56, 102.34, 240}, [3]float64{54.2, 98.8, 255}, [3]float64{76.2, 85, 255}},
	} {
		y, b, r := fullRange(test.in[0], test.in[1], test.in[2])
		alike(t, "full range", [3]float64{y, b, r}, test.spread)
		y, b, r = jfif(test.in[0], test.in[1], test.in[2])
		alike(t, "JFIF", [3]float64{y, b, r}, test.jfif)
	}
}

func alike(t *testing.T, name string, got, want [3]float64) {
	t.Helper()
	for i := range got {
		if math.Abs(got[i]-want[i]) > 0.6 {
			t.Errorf("%s: got %.1f, want %.1f", name, got, want)
			return
		}
	}
}

func TestDistanceCountsEverySampleOnce(t *testing.T) {
	a := image.NewYCbCr(image.Rect(0, 0, 4, 4), image.YCbCrSubsampleRatio420)
	b := image.NewYCbCr(a.Rect, a.SubsampleRatio)
	b.Y[5], b.Cb[3], b.Cr[0] = 3, 4, 5
	same := func(y, cb, cr float64) (float64, float64, float64) { return y, cb, cr }
	if squares, samples := distance(a, b, same); squares != 9+16+25 || samples != 16+4+4 {
		t.Errorf("%v squares of %v samples", squares, samples)
	}
}

// TestTheShortTableHasTheReferencesAlone adds a case with two contenders to the tables, on a clip that the short one shows and on
// another.
func TestTheShortTableHasTheReferencesAlone(t *testing.T) {
	of := func(name string, seconds float64) *contender {
		return &contender{name: name, exact: true, samples: []sample{{Wall: seconds}}}
	}
	var tab table
	for _, clip := range []string{gop2s, medium} {
		tab.add(testCase{name: "a", title: "a. Decode"}, clip, of("kvsframes", 2), []*contender{of("PyAV", 1), of("ffmpeg", 3)})
	}
	if want := "| a. Decode | " + gop2s + " | 2.00 | 3.00 | 1.50 |"; len(tab.short) != 1 || tab.short[0] != want {
		t.Errorf("the short table is %q, want %q", tab.short, want)
	}
	if len(tab.lines) != 6 {
		t.Errorf("the long table has %d lines, want 6", len(tab.lines))
	}
}
