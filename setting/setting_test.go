package setting_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

type mode string

func (mode) Values() []string { return []string{"fast", "exact"} }
func (mode) Later() []string  { return []string{"smart"} }

// engine is the interface of a block.
type engine interface{ Validate() error }

type steam struct {
	Boiler int    `key:"boiler"`
	Fuel   string `key:"fuel" doc:"What burns." example:"wood"`
}

func (steam) Validate() error { return nil }

type electric struct {
	Fuel  string `key:"fuel,optional" doc:"What heats the cars."`
	Volts int    `key:"volts,required"`
}

func (e electric) Validate() error {
	var p setting.Problems
	p.Check("", e, electric{})
	return p.Err()
}

type limits struct {
	Low  time.Duration `key:"low" range:"1s..1h"`
	High int           `key:"high" range:"..10"`
}

type train struct {
	Name   string   `key:"name,required"`
	_      struct{} `key:"type" doc:"What pulls." example:"electric"`
	Mode   mode     `key:"mode"`
	Rate   int      `key:"rate,optional" with:"mode=fast" range:"1.."`
	Step   int      `key:"step,optional" unless:"rate"`
	Limits limits   `key:"limits"`
	Engine engine   `block:"type"`
	_      struct{} `later:"brakes bell.tone" instead:"stop in time"`
	hidden int
}

func defaults() train {
	return train{Name: "x", Mode: "fast", Limits: limits{Low: time.Second}, Engine: steam{Fuel: "coal"}}
}

func variants() setting.Variants {
	v := setting.Variants{}
	setting.Add[engine](v, "steam", steam{Fuel: "coal"})
	setting.Add[engine](v, "electric", electric{Volts: 15000})
	setting.Reserve[engine](v, "fusion")
	return v
}

func TestKeysStandInTheOrderOfTheFields(t *testing.T) {
	var got []string
	for _, k := range variants().Keys(defaults()) {
		got = append(got, fmt.Sprintf("%s %v %v %v %q %q %t %t", k.Path, k.Conditions, k.Values, k.Later, k.Unless, k.Instead, k.Optional, k.Reserved()))
	}
	want := []string{
		`name [] [] [] "" "" false false`,
		`type [] [steam electric] [fusion] "" "" false false`,
		`mode [] [fast exact] [smart] "" "" false false`,
		`rate [{mode [fast]}] [] [] "" "" true false`,
		`step [] [] [] "rate" "" true false`,
		`limits.low [] [] [] "" "" false false`,
		`limits.high [] [] [] "" "" false false`,
		`boiler [{type [steam]}] [] [] "" "" false false`,
		`fuel [{type [steam electric]}] [] [] "" "" false false`,
		`volts [{type [electric]}] [] [] "" "" false false`,
		`brakes [] [] [] "" "stop in time" false true`,
		`bell.tone [] [] [] "" "stop in time" false true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDeclarationsKeepVariantsApart(t *testing.T) {
	var got []string
	for _, k := range variants().Declarations(defaults()) {
		if k.Path == "fuel" || k.Path == "type" {
			got = append(got, fmt.Sprintf("%s %v %v %q %q", k.Path, k.Conditions, k.Default, k.Doc, k.Example))
		}
	}
	want := []string{
		`type [] steam "What pulls." "electric"`,
		`fuel [{type [steam]}] coal "What burns." "wood"`,
		`fuel [{type [electric]}]  "What heats the cars." ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("declarations are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*train)
		want   string
	}{
		{"the defaults", func(*train) {}, ""},
		{"no name", func(c *train) { c.Name = "" }, "name: is missing"},
		{"a value of no enum", func(c *train) { c.Mode = "exactly" }, `mode: "exactly" is not one of fast, exact (did you mean exact?)`},
		{"a value for later", func(c *train) { c.Mode = "smart" }, `mode: "smart" is not available in this version: want fast, exact`},
		{"a key without a meaning", func(c *train) { c.Mode, c.Rate = "exact", 3 }, "rate: belongs to mode fast, and the mode is exact"},
		{"a key that is not set", func(c *train) { c.Rate = 0 }, ""},
		{"a number below its bound", func(c *train) { c.Rate = -3 }, "rate: -3 is below 1"},
		{"a number above its bound", func(c *train) { c.Limits.High = 11 }, "limits.high: 11 is above 10"},
		{"a duration out of range", func(c *train) { c.Limits.Low = 2 * time.Hour }, "limits.low: 2h0m0s is not within 1s..1h"},
		{"keys that exclude each other", func(c *train) { c.Rate, c.Step = 1, 1 }, "rate: and step exclude each other"},
		{"no variant", func(c *train) { c.Engine = nil }, "type: is missing"},
		{"a variant with a problem", func(c *train) { c.Engine = electric{} }, "volts: is missing"},
		{"what is no key", func(c *train) { c.hidden = 7 }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := defaults()
			test.change(&c)
			var p setting.Problems
			p.Check("", c, defaults())
			got := ""
			if err := p.Err(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestProblemsOfAPartGetItsPath(t *testing.T) {
	var inner, outer setting.Problems
	inner.Add("list[2]", "is empty")
	inner.Add("[1].name", "is taken")
	outer.AddBelow("part", inner.Err())
	outer.AddBelow("part", nil)
	outer.AddBelow("other", fmt.Errorf("no %s", "reason"))
	want := []string{"part.list[2]: is empty", "part[1].name: is taken", "other: no reason"}
	if got := strings.Split(outer.Err().Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"max_pixels", "paths", "path", "nearest"}
	for word, want := range map[string]string{
		"maxPixels": "max_pixels", "max-pixels": "max_pixels", "pahts": "paths", "pathes": "paths", "pat": "path", "earnest": "nearest",
		"x": "", "banana": "", strings.Repeat("path", 20): "",
	} {
		if got, ok := setting.Nearest(word, words); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t, want %q", word, got, ok, want)
		}
	}
}

func ExampleProblems_Check() {
	type Config struct {
		Rate  int  `key:"rate" range:"1..100"`
		Exact bool `key:"exact"`
	}
	var p setting.Problems
	p.Check("decode", Config{Rate: 0}, Config{Rate: 10})
	fmt.Println(p.Err())
	// Output: decode.rate: 0 is not within 1..100
}

func TestAnAutoDurationIsAutoOrADuration(t *testing.T) {
	for text, want := range map[string]setting.AutoDuration{"auto": {}, "0s": setting.NewAutoDuration(0), "90m": setting.NewAutoDuration(90 * time.Minute)} {
		var got setting.AutoDuration
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		var again setting.AutoDuration
		if written, err := got.MarshalText(); err != nil || again.UnmarshalText(written) != nil || again != want {
			t.Errorf("%s: written as %s, %v", text, written, err)
		}
	}
	for _, text := range []string{"", "15", "-1s", "soon", strings.Repeat("m", 100)} {
		if err := new(setting.AutoDuration).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
