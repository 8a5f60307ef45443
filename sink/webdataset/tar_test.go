package webdataset_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/webdataset"
)

func sample(stream string) media.Image {
	return media.Image{
		FrameInfo: media.FrameInfo{Stream: stream, FragmentNumber: strings.Repeat("9", 47), Index: 7, ProducerTime: time.UnixMilli(1_772_600_767_089)},
		Ext:       "jpg", Data: []byte("pixels"),
	}
}

func TestNamesOfSamplesAreASCIIWithoutDots(t *testing.T) {
	const rest = "/20260304T050607_089Z_99999999999999999999999999999999999999999999999_000007"
	for stream, want := range map[string]string{
		"front-door": "front-door", "Cam_2.left": "Cam_2%2Eleft", "Tür": "T%C3%BCr", "a%2Eb": "a%252Eb",
	} {
		if got := webdataset.Key(sample(stream)); got != want+rest {
			t.Errorf("stream %s: %s", stream, got)
		}
	}
}

func TestANameThatDoesNotFitIsAnError(t *testing.T) {
	for length, fits := range map[int]bool{10: true, 155: true, 156: false} {
		pack := webdataset.DefaultForm().Groups().Layout.NewPack(media.Image{})
		_, err := pack.Add(sample(strings.Repeat("s", length)), sink.ManifestRecord{})
		if fits != (err == nil) || err != nil && !strings.Contains(err.Error(), "does not fit into a tar file that all readers know") {
			t.Errorf("a stream name of %d bytes: %v", length, err)
		}
	}
}
