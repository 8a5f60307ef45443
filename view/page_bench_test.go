package view_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/chromiumtest"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/view"
)

// BenchmarkPage measures the page of 100,000 frames of ten streams, opened as a file in Chromium: from the beginning of its loading until it is drawn, and from
// a change of a filter until what is left is drawn.
func BenchmarkPage(b *testing.B) {
	dir := b.TempDir()
	var lanes []lane
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		lanes = append(lanes, lane{"camera-" + name, "thumbs", 10_000, time.Second})
	}
	write(b, dir, []media.Gap{gap("camera-a", "thumbs", start.Add(3*time.Hour), start.Add(4*time.Hour), media.GapMissing)}, lanes...)
	for _, l := range lanes {
		paint(b, dir, l)
	}
	url := makePage(b, dir)
	browser := chromiumtest.Start(b)
	browser.Open(b, "about:version", 1280, 800).Wait("true") // the first page of a browser waits for its processes
	filters := []struct{ unit, selector, value, other string }{
		{"ms-tag-filter", "#tag", "site=north", ""},
		{"ms-score-filter", "#least", "0.5", "0.2"},
		{"ms-time-filter", "#from", "2026-03-04 06:00", ""},
	}
	took := map[string][]float64{}
	note := func(unit string, ms float64) { took[unit] = append(took[unit], ms) }
	for b.Loop() {
		p := browser.Open(b, url, 1280, 800)
		ms := func(name string) (ms float64) {
			p.Wait("document.documentElement.dataset." + name)
			p.Eval("Number(document.documentElement.dataset."+name+")", &ms)
			return ms
		}
		note("ms-first-view", ms("drawn"))
		note("ms-of-it-script", ms("drawn")-ms("began"))
		p.Fill("#score", `"blur"`)
		for _, f := range filters {
			var ok bool
			p.Eval("delete document.documentElement.dataset.filtered", &ok)
			p.Fill(f.selector, f.value)
			note(f.unit, ms("filtered"))
			p.Fill(f.selector, f.other)
		}
	}
	for unit, all := range took {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], unit) // the median
	}
	var page countingWriter
	made, err := view.Read(b.Context(), manifest.Folder(dir), view.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := made.WriteFile(&page, ""); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(page)/1e6, "MB-page")
}

// countingWriter counts bytes.
type countingWriter int64

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}
