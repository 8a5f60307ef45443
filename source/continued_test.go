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
		s := Continued(&listed{numbers: test.numbers}, "cam", media.Place{Number: "010"})
		var got []int
		for {
			f, err := s.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
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
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
