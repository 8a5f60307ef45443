package decode

import (
	"C"
	"errors"
	"fmt"
	"strconv"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// errUnsupported is the error for a codec that is not decoded.
var errUnsupported = reason(media.GapUnsupported, errors.New("codec is not supported"))

// errEncrypted is the error for a track that only the owner of its key can decode.
var errEncrypted = reason(media.GapUnsupported, errors.New("the track is encrypted (Matroska ContentEncryption)"))

// supported returns nil for the codecs that this build decodes.
func supported(t media.Track) error {
	if t.Encrypted {
		return errEncrypted
	}
	switch t.CodecID {
	case h26x.AVC, h26x.HEVC:
		return nil
	}
	return fmt.Errorf("%s: %w (H.264 and H.265 are)", strconv.Quote(t.CodecID), errUnsupported)
}

// Refusal returns why a fragment with the given plan is not decoded with these settings, nil if it is.
func (c Config) Refusal(pl *plan.Plan) error {
	if err := supported(pl.Track); err != nil {
		return err
	}
	if pixels := int64(pl.Track.Width) * int64(pl.Track.Height); pixels > c.MaxPixels {
		return reason(media.GapUnsupported, fmt.Errorf("picture of %dx%d pixels is too large, max_pixels is %d", pl.Track.Width, pl.Track.Height, c.MaxPixels))
	}
	return pl.Refused
}
