package reference_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/reference"
)

type place struct {
	Name string `json:"name" doc:"the name"`
}

type inner struct {
	Tags   []place   `json:"tags" doc:"the tags"`
	Length *int      `json:"length" doc:"the length"`
	Began  time.Time `json:"began" doc:"the beginning"`
}

type shape struct{ corners int }

func (s shape) MarshalJSON() ([]byte, error) { return json.Marshal(s.corners) }

type document struct {
	place
	Streams map[string]*inner `json:"streams" doc:"the streams"`
	Counts  []int             `json:"counts,omitempty" doc:"the counts"`
	End     *time.Time        `json:"end,omitempty" doc:"the end"`
	Shapes  []shape           `json:"shapes" doc:"the shapes"`
	Order   []string          `json:"-"`
	hidden  bool
}

func TestFieldsAreThoseOfTheJSON(t *testing.T) {
	var got []string
	for _, f := range reference.Fields(document{hidden: true}, map[reflect.Type]string{reflect.TypeFor[shape](): "shape"}) {
		got = append(got, f.Name+": "+f.Type+": "+f.Doc)
	}
	want := []string{
		"name: text: the name",
		"streams: object by name: the streams",
		"streams.NAME.tags: list of objects: the tags",
		"streams.NAME.tags[].name: text: the name",
		"streams.NAME.length: number or null: the length",
		"streams.NAME.began: text: the beginning",
		"counts: list of numbers: the counts",
		"end: text: the end",
		"shapes: list of shapes: the shapes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestATypeWithoutWordsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a shape is described, although only its own method knows its JSON")
		}
	}()
	reference.Fields(document{}, nil)
}

func TestATableEscapesItsCells(t *testing.T) {
	var got strings.Builder
	reference.Table(&got, []string{"A", "B"}, [][]string{{"a|b", "<one>\ntwo"}})
	if want := "\n| A | B |\n|---|---|\n| `a\\|b` | &lt;one> two |\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}
