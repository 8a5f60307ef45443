package payload

import (
	"bytes"
	"slices"
	"testing"
)

func TestAChunkOfKVSHasANumberAndItsTimes(t *testing.T) {
	number, server, producer := aws("FRAGMENT_NUMBER", "7"), aws("SERVER_TIMESTAMP", "2.000"), aws("PRODUCER_TIMESTAMP", "0.000")
	media := cluster(1000, key(0), delta(33))
	for _, c := range []struct {
		name    string
		payload []byte
		want    []string
	}{
		{"all there", cat(segment(), header(), tags(number, server, producer), media, closing("7")), []string{"7 cut=0 t=1s [1k0 1d33]"}},
		{"no number", cat(segment(), header(), tags(server, producer), media, closing("7"), chunk("8")), []string{"gap  lost=2: at byte 200: the chunk has no fragment number", "8 cut=0 t=1s [1k0 1d33]"}},
		{"no server time", cat(segment(), header(), tags(number, producer), media, closing("7"), chunk("8")), []string{"gap 7 lost=2: at byte 321: the chunk has no producer or no server timestamp", "8 cut=0 t=1s [1k0 1d33]"}},
		{"no producer time", cat(segment(), header(), tags(number, server), media), []string{"gap 7 lost=2: at byte 221: the chunk has no producer or no server timestamp"}},
		{"no media", cat(segment(), header(), tags(number)), []string{"7 cut=1 t=0s []"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, a := range readAll(t, bytes.NewReader(c.payload), Config{Chunks: true}) {
				got = append(got, describe(a.fragment, a.err))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}
