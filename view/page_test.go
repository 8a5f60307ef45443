package view_test

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/chromiumtest"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/view"
)

// makePage writes the page of a folder into it, and returns its URL.
func makePage(tb testing.TB, dir string) string {
	tb.Helper()
	page, err := view.Read(tb.Context(), manifest.Folder(dir), view.Options{Title: "test", Temp: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "view.html"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := page.WriteFile(out, ""); err != nil {
		tb.Fatal(err)
	}
	if err := out.Close(); err != nil {
		tb.Fatal(err)
	}
	return "file://" + out.Name()
}

// shownPage is an open page.
type shownPage struct{ *chromiumtest.Page }

// open opens a page, and waits until it is drawn.
func open(t *testing.T, b *chromiumtest.Browser, url string) shownPage {
	t.Helper()
	p := shownPage{b.Open(t, url, 1280, 800)}
	t.Cleanup(func() {
		if c := p.Complaints(); len(c) > 0 {
			t.Errorf("the browser complains: %q", c)
		}
	})
	p.Wait("document.documentElement.dataset.drawn")
	return p
}

// settled waits until what was asked for is drawn.
func (p shownPage) settled() {
	var done bool
	p.Eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))", &done)
}

// scale is the range of time that a page shows, and where.
type scale struct{ From, To, Left, Right float64 }

func (p shownPage) scale() (s scale) {
	p.settled()
	p.Eval(`(() => {
		const c = document.getElementById("canvas"), r = c.getBoundingClientRect();
		return { from: Number(c.dataset.from), to: Number(c.dataset.to), left: r.left, right: r.right };
	})()`, &s)
	return s
}

// markOf returns the point of a page at which a time is, on the strip of marks of a lane.
func (p shownPage) markOf(t *testing.T, lane string, at time.Time) (x, y float64) {
	t.Helper()
	s := p.scale()
	p.Eval(fmt.Sprintf(`Array.from(document.querySelectorAll(".lane"), (l) => l.title === %q ? l.getBoundingClientRect().bottom : 0).reduce((a, b) => a + b) - 16`, lane), &y)
	return s.Left + (float64(at.UnixMilli())-s.From)/(s.To-s.From)*(s.Right-s.Left), y
}

// field returns the text of a field of the record that is shown, of the last one if there are two.
func (p shownPage) field(name string) (text string) {
	p.Eval(fmt.Sprintf(`Array.from(document.querySelectorAll("tr[data-field=%s] td")).at(-1)?.textContent ?? "there is none"`, name), &text)
	return text
}

// colours counts the colours of a part of a picture, in steps of 32, and how many of its pixels are about one colour.
func colours(m image.Image, area image.Rectangle, about color.RGBA) (different, near int) {
	seen := map[[3]uint32]bool{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			r, g, b = r>>8, g>>8, b>>8
			seen[[3]uint32{r / 32, g / 32, b / 32}] = true
			far := max(apart(r, about.R), apart(g, about.G), apart(b, about.B))
			if far < 40 {
				near++
			}
		}
	}
	return len(seen), near
}

func apart(a uint32, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

// TestPages uses pages as people do, in one browser.
func TestPages(t *testing.T) {
	b := chromiumtest.Start(t)
	t.Run("of a folder", func(t *testing.T) { testFolder(t, b) })
	t.Run("with texts that are no good", func(t *testing.T) { testHostileTexts(t, b) })
	t.Run("of groups", func(t *testing.T) { testGroups(t, b) })
	t.Run("of a server", func(t *testing.T) { testServer(t, b) })
}

func testFolder(t *testing.T, b *chromiumtest.Browser) {
	front, yard, arrays := lane{"front", "thumbs", 200, time.Second}, lane{"yard", "thumbs", 100, 2 * time.Second}, lane{"yard", "arrays", 20, 10 * time.Second}
	dir := t.TempDir()
	lost := gap("front", "thumbs", start.Add(200*time.Second), start.Add(240*time.Second), media.GapMissing)
	single := gap("yard", "thumbs", start.Add(230*time.Second), time.Time{}, media.GapDamaged)
	write(t, dir, []media.Gap{lost, single}, front, yard, arrays)
	paint(t, dir, front)
	paint(t, dir, yard)
	url := makePage(t, dir)

	t.Run("shows everything", func(t *testing.T) {
		p := open(t, b, url)
		if got, want := p.Text("#count"), "320 frames, 2 gaps · 2026-03-04 05:06:07.089 – 05:10:07.089 UTC"; got != want {
			t.Errorf("it counts %q, want %q", got, want)
		}
		p.Wait(`Array.from(document.images).every((i) => i.complete && i.naturalWidth === 320) && thumbs.size > 10 && [...thumbs.values()].every(Boolean)`)
		p.settled()
		shot := p.Screenshot()
		// Pictures are in the lane, above its marks.
		left, y := p.markOf(t, "front\nthumbs", front.at(10))
		right, _ := p.markOf(t, "front\nthumbs", front.at(190))
		row := image.Rect(int(left), int(y)-50, int(right), int(y)-30)
		if different, _ := colours(shot, row, color.RGBA{}); different < 6 {
			t.Errorf("a lane of 16 pictures has %d colours", different)
		}
		if _, green := colours(shot, image.Rect(0, 500, 800, 750), color.RGBA{30, 160, 0, 255}); green < 10000 {
			t.Errorf("the first picture has %d pixels", green)
		}
		// The gap is red from its beginning to its end, on the strip of marks.
		from, y := p.markOf(t, "front\nthumbs", lost.ProducerTime)
		until, _ := p.markOf(t, "front\nthumbs", lost.Until.ProducerTime)
		strip := image.Rect(int(from)+1, int(y)-4, int(until)-1, int(y)+4)
		if _, red := colours(shot, strip, color.RGBA{218, 82, 89, 255}); red < strip.Dx()*strip.Dy()*9/10 {
			t.Errorf("%d of %d pixels of the gap are red", red, strip.Dx()*strip.Dy())
		}
		// Files are all that it asks for, and of the pictures those in sight.
		requests := p.Requests()
		for _, r := range requests {
			if !strings.HasPrefix(r, "file://"+dir) {
				t.Errorf("it asks for %s", r)
			}
		}
		if len(requests) > 60 {
			t.Errorf("it asks for %d files", len(requests))
		}
	})

	t.Run("a click shows the record", func(t *testing.T) {
		p := open(t, b, url)
		p.Click(p.markOf(t, "yard\nthumbs", yard.at(42)))
		record := yard.record(42)
		want, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(want, &fields); err != nil {
			t.Fatal(err)
		}
		for name, value := range fields {
			text, ok := value.(string)
			if !ok {
				line, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				text = string(line)
			}
			if got := p.field(name); got != text {
				t.Errorf("%s is %q, want %q", name, got, text)
			}
		}
		var src string
		if p.Eval(`document.querySelector(".picture img").src`, &src); !strings.HasSuffix(src, record.Key) {
			t.Errorf("the picture is %s, want %s", src, record.Key)
		}
		// What a browser does not show has a record all the same.
		p.Click(p.markOf(t, "yard\narrays", arrays.at(7)))
		if got, want := p.Text(".picture"), "A browser does not show npy. The object is "+arrays.record(7).Key+"."; got != want {
			t.Errorf("of an array it says %q, want %q", got, want)
		}
		// Gaps, too, on hover and by a click.
		x, y := p.markOf(t, "front\nthumbs", lost.ProducerTime.Add(20*time.Second))
		p.Mouse("mouseMoved", x, y)
		p.Wait(`!document.getElementById("tip").hidden`)
		if got := p.Text("#tip"); !strings.Contains(got, "gap: missing") || !strings.Contains(got, lost.Detail) {
			t.Errorf("of the gap it says %q", got)
		}
		p.Click(x, y)
		if got := p.field("reason"); got != "missing" {
			t.Errorf("the gap's reason is %q", got)
		}
	})

	t.Run("zooms and moves", func(t *testing.T) {
		p := open(t, b, url)
		x, y := p.markOf(t, "front\nthumbs", front.at(100))
		before := p.scale()
		p.Wheel(x, y, -200)
		after := p.scale()
		if ratio := (after.To - after.From) / (before.To - before.From); ratio > 0.7 || ratio < 0.6 {
			t.Errorf("the wheel makes the range %v of what it was", ratio)
		}
		if now, _ := p.markOf(t, "front\nthumbs", front.at(100)); now-x > 1 || x-now > 1 {
			t.Errorf("what was under the mouse moves from %v to %v", x, now)
		}
		p.Press("+")
		if s := p.scale(); s.To-s.From >= after.To-after.From {
			t.Errorf("after + the range is %+v, before it %+v", s, after)
		}
		p.Press("-")
		p.Mouse("mouseMoved", x, y)
		p.Mouse("mousePressed", x, y)
		p.Do("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": x + 100, "y": y, "button": "left", "buttons": 1})
		p.Mouse("mouseReleased", x+100, y)
		if now, _ := p.markOf(t, "front\nthumbs", front.at(100)); now-x < 95 || now-x > 105 {
			t.Errorf("dragging by 100 moves a mark by %v", now-x)
		}
		p.Press("0")
		if s := p.scale(); s != before {
			t.Errorf("0 shows %+v, want %+v", s, before)
		}
	})

	t.Run("keys step", func(t *testing.T) {
		p := open(t, b, url)
		for _, step := range []struct {
			key  string
			want string // the time, or the reason of a gap
		}{
			{"ArrowRight", front.record(1).ProducerTimestamp},
			{"ArrowRight", front.record(2).ProducerTimestamp},
			{"ArrowLeft", front.record(1).ProducerTimestamp},
			{"End", front.record(199).ProducerTimestamp},
			{"ArrowRight", front.record(199).ProducerTimestamp},
			{"ArrowDown", arrays.record(19).ProducerTimestamp},
			{"ArrowDown", yard.record(95).ProducerTimestamp},
			{"Home", yard.record(0).ProducerTimestamp},
			{"g", media.Timestamp(lost.ProducerTime)},
			{"g", media.Timestamp(single.ProducerTime)},
			{"G", media.Timestamp(lost.ProducerTime)},
			{"ArrowLeft", front.record(199).ProducerTimestamp},
		} {
			p.Press(step.key)
			if got := p.field("producer_timestamp"); got != step.want {
				t.Errorf("after %s it shows %s, want %s", step.key, got, step.want)
			}
		}
		// Side by side.
		p.Press("p")
		p.Press("ArrowLeft")
		var times []string
		p.Eval(`Array.from(document.querySelectorAll("tr[data-field=producer_timestamp] td"), (e) => e.textContent)`, &times)
		if want := []string{front.record(199).ProducerTimestamp, front.record(198).ProducerTimestamp}; !slices.Equal(times, want) {
			t.Errorf("side by side are %q, want %q", times, want)
		}
		var differs []string
		p.Eval(`Array.from(document.querySelector(".card").querySelectorAll(".differs"), (e) => e.dataset.field)`, &differs)
		if want := []string{"frame_index", "producer_timestamp", "server_timestamp", "pts_ms", "concealed", "key", "bytes", "sha256", "scores"}; !slices.Equal(differs, want) {
			t.Errorf("what differs is %q, want %q", differs, want)
		}
		p.Press("Enter")
		p.Wait(`document.getElementById("full").open && document.querySelector("#full img").naturalWidth === 320`)
	})

	t.Run("filters", func(t *testing.T) {
		p := open(t, b, url)
		count := func(want string, fill ...string) {
			t.Helper()
			for i := 0; i < len(fill); i += 2 {
				p.Fill(fill[i], fill[i+1])
			}
			got, _, _ := strings.Cut(p.Text("#count"), " ·")
			if got != want {
				t.Errorf("after %q it counts %q, want %q", fill, got, want)
			}
			for i := 0; i < len(fill); i += 2 {
				p.Fill(fill[i], "")
			}
		}
		const all = "320 frames, 2 gaps"
		count("120 of 320 frames, 1 gap", "#stream", "yard")
		count(all, "#stream", "YAR, ont")
		count("20 of 320 frames, 0 gaps", "#sink", `"arrays"`)
		count("100 of 320 frames, 1 gap", "#sink", `"thumbs"`, "#stream", "yard")
		count("160 of 320 frames, 2 gaps", "#tag", "site=north")
		count("0 of 320 frames, 2 gaps", "#tag", "site=")
		count(all, "#tag", "site")
		count("12 of 320 frames, 2 gaps", "#concealed", "on")
		// From second 10 to second 19 there are 10 frames, 5 and 1 (that at 10 s).
		count("16 of 320 frames, 0 gaps", "#from", "2026-03-04 05:06:17.089", "#to", "2026-03-04T05:06:26.089Z")
		count("96 of 320 frames, 2 gaps", "#from", "2026-03-04 05:08:27.089")
		count(all, "#from", "2026-03-04")
		count(all, "#from", "yesterday")
		count(all)
		// Scores: 0.838 is that of frame 2 of each, and of no other.
		count("3 of 320 frames, 2 gaps", "#score", `"blur"`, "#least", "0.838", "#most", "0.838")
		count("320 frames, 2 gaps", "#score", `"blur"`, "#most", "1")
		p.Fill("#tag", "site=north")
		p.Press("End")
		if got := p.field("tags"); got != `[{"name":"site","value":"north"}]` {
			t.Errorf("the last frame of a filter has the tags %s", got)
		}
		var sent bool
		p.Eval(`(document.getElementById("filters").reset(), true)`, &sent)
		p.settled()
		count(all)
	})
}

// testHostileTexts has records and gaps with names that are HTML: they stay text.
func testHostileTexts(t *testing.T, b *chromiumtest.Browser) {
	const hostile = `</script><img src=x onerror=alert(1)><!--<script>'"&amp;`
	dir := t.TempDir()
	l := lane{hostile, "thumbs", 3, time.Second}
	record := l.record(0)
	record.Tags = []media.Tag{{Name: hostile, Value: hostile + "\u2028\x01"}}
	record.Label, record.Key = hostile, "a b/#100%?.jpg"
	writeLines(t, filepath.Join(dir, "a.jsonl"), []any{record, l.record(1), map[string]any{
		"key": "later.jpg", "sha256": "none", "fragment_number": "000001", "stream": hostile, "sink": "thumbs", "format": "jpeg", "height_m": 1.5,
		"producer_timestamp": media.Timestamp(l.at(2)), hostile: []string{hostile}, "__proto__": 1,
	}})
	writeFile(t, filepath.Join(dir, "a b", "#100%?.jpg"), picture(t, color.RGBA{200, 30, 160, 255}))
	g := gap(hostile, hostile, start, time.Time{}, media.GapReason(hostile))
	g.Detail = hostile
	writeLines(t, filepath.Join(dir, "gaps.jsonl"), []media.Gap{g})
	writeFile(t, filepath.Join(dir, filepath.FromSlash(l.record(1).Key)), picture(t, color.RGBA{200, 30, 160, 255}))
	writeFile(t, filepath.Join(dir, "later.jpg"), picture(t, color.RGBA{200, 30, 160, 255}))

	p := open(t, b, makePage(t, dir))
	p.Wait(`document.querySelector(".picture img").naturalWidth === 320`)
	for name, want := range map[string]string{"stream": hostile, "label": hostile, "key": record.Key} {
		if got := p.field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var tags []media.Tag
	if err := json.Unmarshal([]byte(p.field("tags")), &tags); err != nil || !slices.Equal(tags, record.Tags) {
		t.Errorf("the tags are %q, %v", tags, err)
	}
	p.Press("End")
	// A record of another program, or of another version.
	for name, want := range map[string]string{"sha256": "none", "height_m": "1.5", "__proto__": "1", "width": "there is none"} {
		if got := p.field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	p.Fill("#tag", hostile+"="+hostile)
	p.Fill("#tag", hostile)
	if got := p.Text("#count"); !strings.HasPrefix(got, "1 of 3 frames") {
		t.Errorf("it counts %q", got)
	}
	p.Press("g")
	if got := p.field("reason"); got != hostile {
		t.Errorf("the reason is %q", got)
	}
	var foreign int
	if p.Eval(`document.querySelectorAll("[onerror], img[src=x]").length + document.scripts.length`, &foreign); foreign != 2 {
		t.Errorf("the page has %d scripts and foreign elements, want its own 2 scripts", foreign)
	}
	// And what got in would do nothing. The policy is all that complains.
	var blocked bool
	p = shownPage{b.Open(t, makePage(t, dir), 800, 600)}
	p.Eval(`new Promise((done) => {
		window.alert = () => done(false);
		document.addEventListener("securitypolicyviolation", () => done(true));
		document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=alert(1)>");
	})`, &blocked)
	if !blocked {
		t.Error("the policy permits foreign scripts")
	}
}

// testGroups has objects of many frames, which a browser does not show.
func testGroups(t *testing.T, b *chromiumtest.Browser) {
	dir, l := t.TempDir(), lane{"cam", "thumbs", 6, time.Second}
	keys := []string{"cam/a.tar", "cam/b.npy", "cam/b.npy", "cam/c.npy", "cam/d.parquet", "cam/e.jpg"}
	var records []sink.ManifestRecord
	for n, key := range keys {
		r := l.record(n)
		if r.Key = key; filepath.Ext(key) == ".npy" {
			r.Format, r.Shape = "npy", []int{2, 180, 320, 3}
		}
		records = append(records, r)
	}
	writeLines(t, filepath.Join(dir, "a.jsonl"), records)
	writeFile(t, filepath.Join(dir, "cam", "e.jpg"), picture(t, color.White))
	p := open(t, b, makePage(t, dir))
	for n, want := range []string{
		"This frame is one of a group, in the object cam/a.tar.", "This frame is one of a group, in the object cam/b.npy.",
		"This frame is one of a group, in the object cam/b.npy.", "A browser does not show npy. The object is cam/c.npy.",
		"This frame is one of a group, in the object cam/d.parquet.", "",
	} {
		if got := p.Text(".picture"); got != want {
			t.Errorf("of %s it says %q, want %q", keys[n], got, want)
		}
		p.Press("ArrowRight")
	}
	p.Wait(`document.querySelector(".picture img").naturalWidth === 320`)
}

// testServer has the page of a folder served.
func testServer(t *testing.T, b *chromiumtest.Browser) {
	dir := t.TempDir()
	l := lane{"front", "thumbs", 20, time.Second}
	write(t, dir, nil, l)
	paint(t, dir, l)
	page, err := view.Read(t.Context(), manifest.Folder(dir), view.Options{Title: "test"})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := page.Handler(manifest.Folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	p := open(t, b, server.URL)
	p.Wait(`document.querySelector(".picture img").naturalWidth === 320 && thumbs.size > 5 && [...thumbs.values()].every(Boolean)`)
	p.Press("End")
	p.Wait(`document.querySelector(".picture img").src.endsWith("_000009.jpg") && document.querySelector(".picture img").naturalWidth === 320`)
}
