//go:build cgo

package measure_test

import (
	"math"
	"os"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
)

// TestFullSize prints, with -v, the rows of the table in docs/pixels.md: how far the numbers of small pictures are from those that ffmpeg
// measures of the decoded ones, in limited range. KVSTEST_CLIP names one more clip, of 1920x1080. It holds what the page says of all clips.
func TestFullSize(t *testing.T) {
	t.Parallel()
	all := videos(t)
	if clip := os.Getenv("KVSTEST_CLIP"); clip != "" {
		all = append(all, video{"KVSTEST_CLIP", clip, 1920, 1080, "select='not(mod(n,7))*lt(n,210)'"})
	}
	for _, v := range all {
		if v.w <= 320 || v.name == "upright" {
			continue
		}
		pictures := 10
		if testing.Verbose() {
			pictures = 30
		}
		planes := v.luma(t, pictures)
		full := make([]measure.Picture, len(planes))
		for i, p := range planes {
			full[i] = measure.Picture{W: p.W, H: p.H, Pix: p.Data}
		}
		theirs, small := ffmpegs(t, full), shrunk(t, planes)
		our := ours(small)
		var black, blackOurs, blackWorst, score, scoreOurs, scoreWorst, blur, blurOurs float64
		edges := 0.0
		for i, n := range our {
			// Their threshold of 32 in limited range is 18.6 in full range.
			like := measure.Black(small[i], 19)
			black, blackOurs, blackWorst = black+theirs[i].black, blackOurs+like, max(blackWorst, math.Abs(like-theirs[i].black))
			score, scoreOurs = max(score, theirs[i].changed), max(scoreOurs, n.changed)
			scoreWorst = max(scoreWorst, math.Abs(n.changed-theirs[i].changed))
			if theirs[i].blur > 0 && n.blur > 0 {
				blur, blurOurs, edges = blur+theirs[i].blur, blurOurs+n.blur, edges+1
			}
		}
		n := float64(len(our))
		t.Logf("| %s | %dx%d | %.1f | %.1f | %.1f | %.2f | %.2f | %.2f | %.2f | %.2f |", v.name, v.w, v.h, black/n, blackOurs/n, blackWorst, score, scoreOurs, scoreWorst,
			blur/edges, blurOurs/edges)
		if blackWorst > 3 {
			t.Errorf("%s: black is %.2f from that of the decoded picture", v.name, blackWorst)
		}
		if scoreOurs > score*255/219+0.05 {
			t.Errorf("%s: the highest score is %.2f, %.2f of the decoded pictures", v.name, scoreOurs, score)
		}
		most := 1.25
		if v.name == "people behind lines" { // which are one row, and several in the small picture
			most = 1.4
		}
		if r := blurOurs / blur; edges > 0 && (r < 0.5 || r > most) {
			t.Errorf("%s: edges are %.2f times as wide as in the decoded pictures", v.name, r)
		}
	}
}
