//go:build cgo

package measure_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
)

// threshold is that of blackframe, whose default it is.
const threshold = 32

// numbers are what ffmpeg or we measure of one picture. A blur of 0 is none.
type numbers struct {
	// black is in percent, exactly; ffmpeg's filter blackframe only has the percents.
	black         float64
	percents      int
	blur          float64
	mafd, changed float64
}

// TestNumbersAreFFmpegs gives the same small pictures to ffmpeg's filters.
func TestNumbersAreFFmpegs(t *testing.T) {
	t.Parallel()
	for name, pictures := range clips(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := ffmpegs(t, pictures)
			for i, our := range ours(pictures) {
				if err := our.differ(theirs[i]); err != nil {
					t.Fatalf("picture %d of %dx%d: %v", i, pictures[i].W, pictures[i].H, err)
				}
			}
		})
	}
}

// differ returns how n is not what ffmpeg measured: blur is compared to 5 digits, black to 6 decimals, and the others to the three that ffmpeg prints.
func (n numbers) differ(their numbers) error {
	switch {
	case int(n.black) != their.percents:
		return fmt.Errorf("black is %v, blackframe says %d", n.black, their.percents)
	case math.Abs(n.black-their.black) > 1e-4:
		return fmt.Errorf("black is %v, blackdetect says %v", n.black, their.black)
	case math.Abs(n.blur-their.blur) > 1e-5*their.blur:
		return fmt.Errorf("blur is %v, blurdetect says %v", n.blur, their.blur)
	case math.Abs(n.mafd-their.mafd) > 0.00051:
		return fmt.Errorf("difference is %v, scdet says %v", n.mafd, their.mafd)
	case math.Abs(n.changed-their.changed) > 0.00051:
		return fmt.Errorf("scene is %v, scdet says %v", n.changed, their.changed)
	}
	return nil
}

// TestDifferComplains shows that the comparison sees the fourth digit.
func TestDifferComplains(t *testing.T) {
	t.Parallel()
	right := numbers{black: 12.345678, percents: 12, blur: 4.5678, mafd: 1.234, changed: 0.567}
	if err := right.differ(right); err != nil {
		t.Error(err)
	}
	for i, change := range []func(*numbers){
		func(n *numbers) { n.percents++ },
		func(n *numbers) { n.black *= 1.0001 },
		func(n *numbers) { n.blur *= 1.0001 },
		func(n *numbers) { n.mafd += 0.001 },
		func(n *numbers) { n.changed -= 0.001 },
	} {
		wrong := right
		if change(&wrong); right.differ(wrong) == nil {
			t.Errorf("change %d is not seen", i)
		}
	}
}

func ours(pictures []measure.Picture) []numbers {
	all := make([]numbers, len(pictures))
	for i, p := range pictures {
		n := &all[i]
		n.black, n.blur = measure.Black(p, threshold), measure.Blur(p)
		if i > 0 {
			n.mafd = measure.Difference(pictures[i-1], p)
			n.changed = measure.Scene(n.mafd, all[i-1].mafd)
		}
	}
	return all
}

// ffmpegs returns what ffmpeg's filters measure of pictures of one size.
func ffmpegs(t testing.TB, pictures []measure.Picture) []numbers {
	t.Helper()
	var raw bytes.Buffer
	for _, p := range pictures {
		raw.Write(p.Pix)
	}
	in := []string{"-f", "rawvideo", "-pix_fmt", "gray", "-video_size", fmt.Sprintf("%dx%d", pictures[0].W, pictures[0].H), "-i", "-"}
	if pictures[0].W < 16 {
		// scdet's loop for SSE2 reads beyond narrower pictures; this leaves its loop in C.
		in = append([]string{"-cpuflags", "0"}, in...)
	}
	// blackdetect logs all digits of what is not above its threshold, which it takes for one of limited range.
	filters := fmt.Sprintf("blackframe=amount=0:threshold=%d,scdet,blurdetect,metadata=print:file=-,blackdetect=pixel_black_th=%f", threshold, (threshold-1+0.5-16)/219)
	printed, log := ffmpeg(t, &raw, append(append([]string{"-v", "debug"}, in...), "-vf", filters, "-f", "null", "-")...)
	all := make([]numbers, 0, len(pictures))
	lines := bufio.NewScanner(bytes.NewReader(printed))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "frame:") {
			all = append(all, numbers{})
			continue
		}
		key, value, _ := strings.Cut(lines.Text(), "=")
		v, err := strconv.ParseFloat(strings.TrimPrefix(value, "-nan"), 64)
		if err != nil {
			v = 0 // the mean of no edges
		}
		n := &all[len(all)-1]
		switch key {
		case "lavfi.blackframe.pblack":
			n.percents = int(v)
		case "lavfi.blur":
			n.blur = v
		case "lavfi.scd.mafd":
			n.mafd = v
		case "lavfi.scd.score":
			n.changed = v
		}
	}
	if len(all) != len(pictures) {
		t.Fatalf("ffmpeg measured %d of %d pictures", len(all), len(pictures))
	}
	if want := fmt.Sprintf("pixel_black_th_i:%d ", threshold-1); !bytes.Contains(log, []byte(want)) {
		t.Fatalf("blackdetect's log lacks %q", want)
	}
	ratios := regexp.MustCompile(`picture_black_ratio:([0-9.]+)`).FindAllSubmatch(log, -1)
	if len(ratios) != len(all) {
		t.Fatalf("blackdetect measured %d of %d pictures", len(ratios), len(all))
	}
	for i, ratio := range ratios {
		v, err := strconv.ParseFloat(string(ratio[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		all[i].black = 100 * v
	}
	return all
}

func ffmpeg(t testing.TB, in io.Reader, args ...string) (out, log []byte) {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostats"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if in != nil {
		cmd.Stdin = in
	} else {
		cmd.Args = append([]string{"ffmpeg", "-nostdin"}, cmd.Args[1:]...)
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	return stdout.Bytes(), stderr.Bytes()
}
