package decode

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

func TestValidateNamesEveryProblem(t *testing.T) {
	bad := Config{Workers: -1, Isolation: "jail", SkipFrame: "most", OnError: "cry", MaxPixels: 0, Concealed: "hide", Deinterlace: "bob", Color: Color{UntaggedMatrix: "bt470", UntaggedRange: "wide"}}
	if n := len(problemsOf(bad.Validate())); n != 10 {
		t.Errorf("%d problems: %v", n, bad.Validate())
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	sample := func(s plan.Sample) Output {
		return Output{Sample: s, Resize: Resize{Fit: FitContain}, Format: FormatJPEG, Quality: 80}
	}
	for name, c := range map[string]struct {
		output Output
		keys   []string
	}{
		"good":                  {sample(plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}), nil},
		"a stride without n":    {sample(plan.Sample{Rule: plan.Stride{}, Clock: media.ClockProducer}), []string{"sample.n"}},
		"no interval":           {sample(plan.Sample{Rule: plan.Interval{}, Clock: media.ClockProducer}), []string{"sample.interval"}},
		"interval and fps":      {sample(plan.Sample{Rule: plan.Interval{Every: time.Second, Rate: plan.Rate{Num: 1, Den: 1}}, Clock: media.ClockProducer}), []string{"sample.fps"}},
		"an interval too short": {sample(plan.Sample{Rule: plan.Interval{Every: time.Microsecond}, Clock: media.ClockProducer}), []string{"sample.interval"}},
		"times":                 {sample(plan.Sample{Rule: plan.Timestamps{At: []string{"0.001"}}, Clock: media.ClockServer}), nil},
		"a file of times":       {sample(plan.Sample{Rule: plan.Timestamps{File: "x"}, Clock: media.ClockServer}), nil},
		"no times":              {sample(plan.Sample{Rule: plan.Timestamps{}, Clock: media.ClockProducer}), []string{"sample.at"}},
		"times and a file":      {sample(plan.Sample{Rule: plan.Timestamps{At: []string{"0.001"}, File: "x"}, Clock: media.ClockProducer}), []string{"sample.file"}},
		"no time, and one":      {sample(plan.Sample{Rule: plan.Timestamps{At: []string{"1", "noon"}}, Clock: media.ClockProducer}), []string{"sample.at[1]"}},
		"an unknown pick":       {sample(plan.Sample{Rule: plan.Timestamps{At: []string{"1"}, Pick: "first"}, Clock: media.ClockProducer}), []string{"sample.pick"}},
		"indices":               {sample(plan.Sample{Rule: plan.Indices{At: []string{"0", "30"}}, Clock: media.ClockProducer}), nil},
		"indices below 0":       {sample(plan.Sample{Rule: plan.Indices{At: []string{"-1", "1.5", "9223372036854775807"}}, Clock: media.ClockProducer}), []string{"sample.at[0]", "sample.at[1]", "sample.at[2]"}},
		"no indices":            {sample(plan.Sample{Rule: plan.Indices{}, Clock: media.ClockProducer}), []string{"sample.at"}},
		"a tolerance below 0":   {sample(plan.Sample{Rule: plan.Timestamps{At: []string{"0.001"}, Tolerance: -1}, Clock: media.ClockProducer}), []string{"sample.tolerance"}},
		"quality":               {Output{Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockServer}, Resize: Resize{Fit: FitPad}, Format: FormatJPEG, Quality: 101}, []string{"quality"}},
		"size, fit and format":  {Output{Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockServer}, Resize: Resize{Width: -1, Height: 70000, Fit: "squeeze"}, Format: "bmp"}, []string{"resize.width", "resize.height", "resize.fit", "format"}},
		"arrays":                {Output{Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}, Resize: DefaultResize(), Format: FormatNPY, PixelFormat: PixelRGB24, Normalize: Normalize{Mean: []Number{1, 2, 3}, Std: []Number{1, 2, 3}}}, nil},
		"arrays of planes":      {Output{Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}, Resize: DefaultResize(), Format: FormatNPY, PixelFormat: PixelNV12}, []string{"pixel_format"}},
		"numbers of arrays": {
			Output{
				Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}, Resize: DefaultResize(), Format: FormatNPY, PixelFormat: PixelGray, Layout: "hw",
				Normalize: Normalize{Mean: []Number{Number(math.NaN())}, Std: []Number{-1}},
			}, []string{"layout", "normalize.mean[0]", "normalize.std[0]"},
		},
		"clock and pixel format": {Output{Sample: plan.Sample{Rule: plan.All{}, Clock: "wall"}, Resize: Resize{Fit: FitPad}, Format: FormatNone, PixelFormat: "yuyv"}, []string{"sample.clock", "pixel_format"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := problemsOf(c.output.Validate()); !slices.Equal(got, c.keys) {
				t.Errorf("problems at %v, want %v", got, c.keys)
			}
		})
	}
}

// problemsOf returns the key paths of a Validate error.
func problemsOf(err error) (keys []string) {
	if err == nil {
		return nil
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		keys = append(keys, e.(*setting.Error).Path)
	}
	return keys
}

func TestTextForms(t *testing.T) {
	for text, want := range map[string]plan.Rate{"2": {Num: 2, Den: 1}, "0.5": {Num: 1, Den: 2}, "29.97": {Num: 2997, Den: 100}, "30000/1001": {Num: 30000, Den: 1001}} {
		var r plan.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("rate %q = %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "fast", "1e3", "0x10", "1/0", "99999999999", "1/99999999999"} {
		var r plan.Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("rate %q = %v, want an error", text, r)
		}
	}
	var c RGB
	if err := c.UnmarshalText([]byte("#20a0Ff")); err != nil || c != (RGB{0x20, 0xa0, 0xff}) || c.String() != "#20a0ff" {
		t.Errorf("colour = %v, %v", c, err)
	}
	for _, text := range []string{"", "#fff", "20a0ff0", "#20a0fg", "#+0a0ff"} {
		if err := c.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("colour %q is accepted", text)
		}
	}
}
