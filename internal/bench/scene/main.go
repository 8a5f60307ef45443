// Scene writes the video for the benchmarks: `scene WIDTH HEIGHT FRAMES`, as YUV4MPEG2 with 30 frames a second
// on standard output. A camera turns and rests over textured ground and a sky, objects move through the
// picture, the light changes, and a sensor adds noise. The same arguments give the same bytes.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
)

const (
	// rate is in frames per second.
	rate = 30
	// margin is the camera's largest movement to either side, as a part of the picture's size.
	margin = 0.12
	// subpixels is the number of camera steps within a pixel.
	subpixels = 16
	// things is how many objects move through the picture.
	things = 5
	// grain is the standard deviation of the noise, in levels.
	grain = 0.8
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scene:", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	var n [3]int
	if len(args) != len(n) {
		return errors.New("usage: scene WIDTH HEIGHT FRAMES")
	}
	for i, arg := range args {
		var err error
		if n[i], err = strconv.Atoi(arg); err != nil || n[i] < 1 || n[i] > 1<<14 || i < 2 && n[i]%2 != 0 {
			return fmt.Errorf("%q is not a size in even pixels, or not a number of frames", arg)
		}
	}
	out := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprintf(out, "YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420mpeg2\n", n[0], n[1], rate)
	s := newScene(n[0], n[1])
	for i := range n[2] {
		s.draw(i)
		if _, err := out.WriteString("FRAME\n"); err != nil {
			return err
		}
		for _, p := range s.picture {
			if _, err := out.Write(p.pix); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// plane is one component of a picture.
type plane struct {
	width, height int
	pix           []byte
}

func newPlane(width, height int) plane {
	return plane{width, height, make([]byte, width*height)}
}

// scene is the content of the picture.
type scene struct {
	picture, ground [3]plane
	things          []thing
	noise           []int8
	random          random
}

// thing is an ellipse with its own texture. It moves around centre on two sines.
type thing struct {
	texture          [3]plane
	radiusX, radiusY float64 // pixels
	centre, reach    [2]float64
	period, phase    [2]float64 // seconds, radians
}

func newScene(width, height int) *scene {
	s := &scene{random: 20261101}
	over := func(n int) int { return (int(float64(n)*(1+2*margin))/2 + 4) * 2 }
	s.ground = texture(&s.random, over(width), over(height), 105, 1, over(height)/3)
	for i, p := range []int{1, 2, 2} {
		s.picture[i] = newPlane(width/p, height/p)
	}
	for range things {
		r := float64(height) * s.random.between(0.06, 0.17)
		t := thing{radiusX: r * s.random.between(0.8, 1.4), radiusY: r}
		for axis, size := range []int{width, height} {
			t.centre[axis] = float64(size) * s.random.between(0.25, 0.75)
			t.reach[axis] = float64(size) * s.random.between(0.1, 0.4)
			t.period[axis] = s.random.between(11, 31)
			t.phase[axis] = s.random.between(0, 2*math.Pi)
		}
		t.texture = texture(&s.random, even(2*t.radiusX)+2, even(2*t.radiusY)+2, s.random.between(80, 170), 1.5, 0)
		s.things = append(s.things, t)
	}
	s.noise = make([]int8, 1<<18)
	for i := range s.noise {
		var sum float64 // the sum of 6 uniform distributions is nearly Gaussian
		for range 6 {
			sum += s.random.between(-1, 1)
		}
		s.noise[i] = int8(math.Round(sum / math.Sqrt2 * grain))
	}
	return s
}

func even(n float64) int { return int(n) / 2 * 2 }

// draw draws frame i.
func (s *scene) draw(i int) {
	t := float64(i) / rate
	width, height := float64(s.picture[0].width), float64(s.picture[0].height)
	x := width * margin * (1 + 0.95*tour(t, 8, 1))
	y := height * margin * (1 + 0.95*tour(t, 8, 2))
	light := 1 + 0.10*math.Sin(2*math.Pi*t/13) + 0.05*math.Sin(2*math.Pi*t/3.7)
	rows := make([]int, s.picture[0].height) // the start of each row in the noise
	for r := range rows {
		rows[r] = int(s.random.next() % uint64(len(s.noise)-s.picture[0].width))
	}
	var wait sync.WaitGroup
	for c := range s.picture {
		scale := 1.0
		if c > 0 {
			scale = 2
		}
		wait.Go(func() {
			s.picture[c].pan(s.ground[c], int(x*subpixels/scale), int(y*subpixels/scale))
			for _, th := range s.things {
				th.draw(s.picture[c], c, scale, t)
			}
			if c == 0 {
				s.picture[c].expose(light, s.noise, rows)
			}
		})
	}
	wait.Wait()
}

// tour returns the direction, from -1 to 1, of a camera that rests, turns and rests again, each leg in the same
// time (seconds). The seed chooses the directions.
func tour(t, leg float64, seed random) float64 {
	from := 0.0
	for ; t > leg; t -= leg {
		from = seed.between(-1, 1)
	}
	turned := smooth(min(1, max(0, 2*t/leg-1))) // in the second half
	return from + (seed.between(-1, 1)-from)*turned
}

// pan fills p with the part of from whose corner is at (x, y), in subpixels.
func (p plane) pan(from plane, x, y int) {
	left, top := x/subpixels, y/subpixels
	fx, fy := x%subpixels, y%subpixels
	a, b := (subpixels-fx)*(subpixels-fy), fx*(subpixels-fy)
	c, d := (subpixels-fx)*fy, fx*fy
	const half = subpixels * subpixels / 2
	for r := range p.height {
		out := p.pix[r*p.width:][:p.width]
		upper := from.pix[(top+r)*from.width+left:][:p.width+1]
		lower := from.pix[(top+r+1)*from.width+left:][:p.width+1]
		for i := range out {
			out[i] = byte((a*int(upper[i]) + b*int(upper[i+1]) + c*int(lower[i]) + d*int(lower[i+1]) + half) / (subpixels * subpixels))
		}
	}
}

// draw draws the thing at t seconds onto one component of the picture. scale is the ratio of the picture's
// size to the component's.
func (th thing) draw(p plane, component int, scale, t float64) {
	at := func(axis int) float64 {
		return th.centre[axis] + th.reach[axis]*math.Sin(2*math.Pi*t/th.period[axis]+th.phase[axis])
	}
	from := th.texture[component]
	rx, ry := th.radiusX/scale, th.radiusY/scale
	left, top := int(at(0)/scale-rx), int(at(1)/scale-ry)
	for r := max(0, -top); r < min(from.height, p.height-top); r++ {
		v := (float64(r) - ry) / ry
		for c := max(0, -left); c < min(from.width, p.width-left); c++ {
			h := (float64(c) - rx) / rx
			// The edge is two pixels wide.
			cover := min(1, (1-h*h-v*v)*rx/4)
			if cover <= 0 {
				continue
			}
			out := &p.pix[(top+r)*p.width+left+c]
			*out = byte(float64(*out)*(1-cover) + float64(from.pix[r*from.width+c])*cover)
		}
	}
}

// expose multiplies by the light and adds the noise; rows are the starts of the rows in the noise.
func (p plane) expose(light float64, noise []int8, rows []int) {
	var table [256]int
	for i := range table {
		table[i] = 16 + int(float64(max(0, i-16))*light)
	}
	for r := range p.height {
		out, grains := p.pix[r*p.width:][:p.width], noise[rows[r]:][:p.width]
		for i := range out {
			out[i] = byte(min(235, max(16, table[out[i]]+int(grains[i]))))
		}
	}
}
