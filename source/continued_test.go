package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// listed is a source of fragments, and of gaps where the numbers are negative.
type listed struct {
	Source
	numbers []int
}

func (l *listed) Next(context.Context) (*media.Fragment, error) {
	if len(l.numbers) == 0 {
		return nil, io.EOF
	}
	n := l.numbers[0]
	l.numbers = l.numbers[1:]
	if n < 0 {
		return nil, payload.NewGap("cam", fmt.Sprintf("%09d", -n), payload.ErrUnsupported, 0)
	}
	return &media.Fragment{Number: fmt.Sprint(n)}, nil
}

func TestWhatIsReadAgainIsNotReportedAgain(t *testing.T) {
	for name, test := range map[string]struct{ numbers, want []int }{
		"the last one is there":      {[]int{8, 9, 10, 11}, []int{8, 9, 10, 11}},
		"gaps before it":             {[]int{-8, 9, -10, 10, -11, 12}, []int{9, 10, -11, 12}},
		"it is gone":                 {[]int{8, 9, 12, 13}, []int{8, 9, -10, 12, 13}},
		"all before it are gone":     {[]int{15, -16, 17}, []int{-10, 15, -16, 17}},
		"a gap after it comes first": {[]int{-12, 13}, []int{-12, -10, 13}},
		"nothing follows":            {[]int{9, 10}, []int{9, 10}},
		"nothing is there":           {nil, nil},
		"numbers go back after it":   {[]int{10, 3, -4, 11}, []int{10, 3, -4, 11}},
	} {
		got := numbersOf(t, Continued(&listed{numbers: test.numbers}, "cam", media.Place{Number: "010"}))
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestAStreamThatBeginsLaterHasAHole(t *testing.T) {
	place := media.Place{Number: "010"}
	for name, test := range map[string]struct {
		of            func(Source, string, media.Place) Source
		numbers, want []int
	}{
		"the first one is there":     {From, []int{-9, 10, 11}, []int{-9, 10, 11}},
		"the first one is gone":      {From, []int{-9, 12, -13, 14}, []int{-9, -10, 12, -13, 14}},
		"it begins before the last":  {Anew, []int{-3, 4, 12}, []int{-3, 4, 12}},
		"it begins after the last":   {Anew, []int{12, 13}, []int{-10, 12, 13}},
		"it begins with the last":    {Anew, []int{10, 12}, []int{10, 12}},
		"nothing follows, of either": {Anew, nil, nil},
	} {
		if got := numbersOf(t, test.of(&listed{numbers: test.numbers}, "cam", place)); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	s := From(&listed{numbers: []int{12}}, "cam", place)
	_, err := s.Next(t.Context())
	gap, ok := errors.AsType[*media.GapError](err)
	if !ok || gap.Gap.FragmentNumber != "010" || gap.Gap.Until.Number != "12" || gap.Gap.Reason != media.GapMissing {
		t.Errorf("error %v", err)
	}
}

// numbersOf returns the numbers of all fragments, and those of gaps as negative ones.
func numbersOf(t *testing.T, s Source) (got []int) {
	t.Helper()
	for {
		f, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return got
		}
		number, sign := "", 1
		if gap := (*media.GapError)(nil); errors.As(err, &gap) {
			number, sign = gap.Gap.FragmentNumber, -1
		} else {
			number = f.Number
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, sign*n)
	}
}
