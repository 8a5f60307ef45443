package main

import (
	"fmt"
	"image"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/kvsframes/kvsframes/internal/chromiumtest"
)

// playerPage is a page that does what players do with the thumbnails of a time line: the browser reads the cues of a track, and a box shows the
// part of the sheet that a cue names. Chromium reads cues only for an element of media, which needs none.
const playerPage = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><style>body{margin:0}</style><div id="tile"></div>
<video hidden><track kind="metadata" src=%q></video>
<script>
const track = document.querySelector("track"), tile = document.querySelector("#tile");
track.track.mode = "hidden";
async function show(at) {
  const cue = [...track.track.cues].find(c => c.startTime <= at && at < c.endTime);
  const [, name, x, y, w, h] = /^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$/.exec(cue.text);
  const sheet = new Image();
  sheet.src = new URL(name, track.src);
  await sheet.decode();
  tile.style = "width:" + w + "px;height:" + h + "px;background:url(" + sheet.src + ") -" + x + "px -" + y + "px";
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
  return [cue.startTime, sheet.naturalWidth, sheet.naturalHeight];
}
</script>`

// TestChromiumShowsTheTileThatACueNames opens sheets and their cues in Chromium, and compares what it shows with the raw frames of the same times.
func TestChromiumShowsTheTileThatACueNames(t *testing.T) {
	t.Parallel()
	const most = `resize: {width: 160, height: 90, fit: stretch}, sample: {type: interval, interval: 1s}, path: "{sink}/{producer_time}_{fragment_number}_{frame_index}.{ext}", destination: %[1]s}`
	folder := runForms(t, `sinks:
  - {name: jpegs, type: sprite, quality: 95, group: {every: 1m}, columns: 4, `+most+`
  - {name: pngs, type: sprite, format: png, group: {every: 1m}, columns: 4, `+most+`
  - {name: single, type: raw, `+most+"\n", demo)
	frames := found(t, folder, "single/*")
	files := http.FileServer(http.Dir(folder))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("track"); name != "" {
			_, _ = fmt.Fprintf(w, playerPage, name)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	b := chromiumtest.Start(t)
	for sink, most := range map[string]float64{"jpegs": 6, "pngs": 0} {
		cues, err := filepath.Rel(folder, found(t, folder, sink+"/*.vtt")[0])
		if err != nil {
			t.Fatal(err)
		}
		page := b.Open(t, server.URL+"/?track=/"+cues, 320, 200)
		page.Wait(`track.readyState === 2 && track.track.cues.length > 0`)
		var n int
		if page.Eval(`track.track.cues.length`, &n); n != len(frames) {
			t.Errorf("%s: Chromium reads %d cues of %d tiles", sink, n, len(frames))
		}
		for i, frame := range frames {
			var got [3]float64
			page.Eval(fmt.Sprintf(`show(%d.5)`, i), &got)
			if want := [3]float64{float64(i), 640, 360}; got != want {
				t.Errorf("%s: the tile at %d.5 s begins at, on a sheet of: %v, want %v", sink, i, got, want)
			}
			if far := distance(page.Screenshot(), read(t, frame), 160, 90); far > most {
				t.Errorf("%s: what it shows at %d.5 s is %.1f away from the frame", sink, i, far)
			}
		}
		if complaints := page.Complaints(); len(complaints) > 0 {
			t.Errorf("Chromium complains: %q", complaints)
		}
	}
}

// distance returns the mean difference between a corner of a picture and a frame of rgb24, of 255.
func distance(shown image.Image, frame []byte, width, height int) float64 {
	sum := 0.0
	for i := range width * height {
		r, g, b, _ := shown.At(i%width, i/width).RGBA()
		for c, v := range []uint32{r, g, b} {
			sum += max(float64(v>>8)-float64(frame[3*i+c]), float64(frame[3*i+c])-float64(v>>8))
		}
	}
	return sum / float64(3*width*height)
}
