package config_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// class is an enum of the fake destination.
type class string

const (
	classHot  class = "hot"
	classCold class = "cold"
)

func (class) Values() []string { return setting.Texts(classHot, classCold) }
func (class) Later() []string  { return []string{"frozen"} }

// shelf is a fake destination. It shares the name of a key, prefix, with s3.
type shelf struct {
	Number int           `key:"number,required" range:"1..9"`
	Class  class         `key:"class"`
	Thaw   time.Duration `key:"thaw,optional" with:"class=cold"`
	Prefix string        `key:"prefix"`
	Door   door          `key:"door"`
	_      struct{}      `later:"lock" instead:"close the door"`
}

// door is a mapping of keys.
type door struct {
	Open bool `key:"open"`
}

func (s shelf) Validate() error {
	var p setting.Problems
	p.Check("", s, shelf{Class: classHot})
	return p.Err()
}
func (s shelf) Place() (string, []string)                { return "shelf", []string{s.Prefix} }
func (s shelf) Check(context.Context) error              { return nil }
func (s shelf) Open(context.Context) (sink.Store, error) { return sink.NewMem(), nil }

// radio is a fake source.
type radio struct {
	Station string `key:"station"`
}

func (radio) Many() bool    { return false }
func (radio) Endless() bool { return true }
func (r radio) Validate() error {
	var p setting.Problems
	if r.Station == "" {
		p.Add("station", "is empty")
	}
	return p.Err()
}

// dice is a fake sampler.
type dice struct {
	Sides int `key:"sides" range:"2..20"`
}

func (d dice) Validate() error {
	var p setting.Problems
	p.Check("", d, dice{Sides: 6})
	return p.Err()
}
func (d dice) Sampler() plan.Sampler { return d }

// Pick implements plan.Sampler.
func (d dice) Pick(frames []plan.Candidate, _ plan.Timing) []bool {
	picked := make([]bool, len(frames))
	for i := 0; i < len(frames); i += d.Sides {
		picked[i] = true
	}
	return picked
}

// poem is a fake type of sink.
type poem struct {
	Lines int `key:"lines" range:"1.."`
}

func (f poem) Validate() error {
	var p setting.Problems
	p.Check("", f, poem{Lines: 4})
	return p.Err()
}
func (f poem) Ask(o *decode.Output) { o.Format = decode.FormatPNG }
func (f poem) Ext() string          { return "txt" }

// withFakes are the variants of this program and one more of each kind.
func withFakes() setting.Variants {
	v := config.BuiltIn()
	setting.Add[sink.Location](v, "shelf", shelf{Class: classHot})
	setting.Add[source.Origin](v, "radio", radio{Station: "one"})
	setting.Add[decode.Form](v, "poem", poem{Lines: 4})
	setting.Add[plan.Rule](v, "dice", dice{Sides: 6})
	return v
}

func loadFakes(file string, environ ...string) (*config.Config, error) {
	return config.Load(config.Options{Path: "p.yaml", Reader: strings.NewReader(file), Environ: environ, Variants: withFakes()})
}

func TestAVariantTakesItsRegistrationAlone(t *testing.T) {
	c, err := loadFakes(`
source: {type: radio, station: two}
sinks:
  - name: a
    type: poem
    sample: {type: dice, sides: 20, clock: server}
    destination: {type: shelf, number: 3, class: cold, thaw: 2h, prefix: p, door: {open: true}, if_exists: skip}
`, "KVSFRAMES_SINKS_0_LINES=7", "KVSFRAMES_SINKS_0_DESTINATION_NUMBER=4")
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []struct{ value, want any }{
		{c.Source.Origin, radio{Station: "two"}},
		{c.Sinks[0].Form, poem{Lines: 7}},
		{c.Sinks[0].Output().Sample, plan.Sample{Rule: dice{Sides: 20}, Clock: media.ClockServer}},
		{c.Sinks[0].Destination.Location, shelf{Number: 4, Class: classCold, Thaw: 2 * time.Hour, Prefix: "p", Door: door{Open: true}}},
		{c.Sinks[0].Destination.IfExists, sink.IfExistsSkip},
		{c.Sinks[0].SinkConfig().Ext, "txt"},
		{c.Sinks[0].Output().Format, decode.FormatPNG},
	} {
		if !reflect.DeepEqual(got.value, got.want) {
			t.Errorf("got %+v, want %+v", got.value, got.want)
		}
	}
	var printed strings.Builder
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	again, err := loadFakes(printed.String())
	if err != nil || !reflect.DeepEqual(again.Source, c.Source) || !reflect.DeepEqual(again.Sinks, c.Sinks) {
		t.Errorf("printed\n%s\nwhich gave %+v, %v", printed.String(), again, err)
	}
}

func TestProblemsOfAVariantAreReportedLikeAllOthers(t *testing.T) {
	_, err := loadFakes(`
source: {type: radoi}
sinks:
  - name: a
    destination: {type: shelf, class: cool, door: open}
  - {name: b, type: poem, quality: 3, path: "{sink}/{fragment_number}_{frame_index}", destination: {type: shelf, number: 10, class: frozen, thaw: 3, lock: yes}}
  - {name: c, path: "{sink}/{fragment_number}_{frame_index}", destination: {number: 1, prefx: p}, lines: 3}
  - {name: d, path: "{sink}/{fragment_number}_{frame_index}", destination: {type: shelf, number: 1, thaw: 1h}}
  - {name: e, path: "{sink}/{fragment_number}_{frame_index}", sample: {type: dice, sides: 1, n: 3}}
`)
	want := []string{
		`p.yaml:2:16: source.type: "radoi" is not one of kvs, file, radio (did you mean radio?)`,
		`p.yaml:5:5: sinks[0].destination.number: is missing`,
		`p.yaml:5:39: sinks[0].destination.class: "cool" is not one of hot, cold`,
		`p.yaml:5:51: sinks[0].destination.door: want a mapping of keys, not text`,
		`p.yaml:6:36: sinks[1].quality: belongs to type image, webdataset, parquet or sprite, and the type is poem`,
		`p.yaml:6:122: sinks[1].destination.number: 10 is not within 1..9`,
		`p.yaml:6:133: sinks[1].destination.class: "frozen" is not available in this version: want hot, cold`,
		`p.yaml:6:147: sinks[1].destination.thaw: 3 has no unit: write a duration such as 10s or 500ms`,
		`p.yaml:6:156: sinks[1].destination.lock: is not available in this version: close the door`,
		`p.yaml:7:85: sinks[2].destination.number: belongs to type shelf, and the type is file`,
		`p.yaml:7:88: sinks[2].destination.prefx: unknown key (did you mean prefix?)`,
		`p.yaml:7:106: sinks[2].lines: belongs to type poem, and the type is image`,
		`p.yaml:8:107: sinks[3].destination.thaw: belongs to class cold, and the class is hot`,
		`p.yaml:9:91: sinks[4].sample.sides: 1 is not within 2..20`,
		`p.yaml:9:97: sinks[4].sample.n: belongs to type stride or uniform, and the type is dice`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

// A Config that is filled in by a program is checked by the same tags.
func TestAConfigWithoutAFileIsCheckedToo(t *testing.T) {
	c := sink.DefaultConfig()
	c.Name, c.Destination.Location = "a", shelf{Number: 11, Class: "warm"}
	err := c.Validate()
	want := "destination.number: 11 is not within 1..9\ndestination.class: \"warm\" is not one of hot, cold"
	var e *setting.Error
	if err == nil || err.Error() != want || !errors.As(err, &e) || e.Path != "destination.number" {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
