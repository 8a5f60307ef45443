package media

// GapReason is the kind of a gap. The values are part of the ledger's format.
type GapReason string

// The reasons of gaps; Meaning states what each of them means.
const (
	GapCut         GapReason = "cut"
	GapDamaged     GapReason = "damaged"
	GapSource      GapReason = "source_error"
	GapMissing     GapReason = "missing"
	GapConflict    GapReason = "conflict"
	GapOutage      GapReason = "outage"
	GapUnsupported GapReason = "unsupported"
	GapNoVideo     GapReason = "no_video"
	GapDecoder     GapReason = "decoder_died"
	GapConcealed   GapReason = "concealed"
	GapNoFrame     GapReason = "no_frame"
	GapRepaired    GapReason = "repaired"
	GapRenumbered  GapReason = "renumbered"
	GapLeftOut     GapReason = "left_out"
)

// meanings holds all reasons with what they mean, in the order of the reference.
var meanings = []struct {
	reason  GapReason
	meaning string
}{
	{GapCut, "the payload ended inside the fragment"},
	{GapDamaged, "bytes are not valid Matroska, or cannot be decoded"},
	{GapSource, "KVS reported an error in place of the fragment"},
	{GapMissing, "the fragment is no longer in the stream, or was never read"},
	{GapConflict, "a fragment number appeared twice with different content"},
	{GapOutage, "the source could not be read for a time"},
	{GapUnsupported, "the video cannot be decoded (codec, HDR, encryption, size)"},
	{GapNoVideo, "the stream has no video track"},
	{GapDecoder, "the decoder crashed on the fragment, or did not come to an end, twice"},
	{GapConcealed, "parts of the picture are guessed, and decode.concealed is drop"},
	{GapNoFrame, "no frame is near enough to a requested time, or none is shown at a requested place: the fragment is shorter, has expired, or was not read"},
	{GapRepaired, "closes the gap of which the record is a copy, but for this and the detail: the archive had what was missing"},
	{GapRenumbered, "no loss: with source.deliver: frame an image was stored under a name that the end of its fragment took away, or of a frame that is not wanted; the fragment was delivered again"},
	{GapLeftOut, "the stream was further behind than lag.max: frames, or all fragments of a hole, were left out to catch up; or a run that was told to begin anew began behind it"},
}

// Values returns all reasons.
func (GapReason) Values() []string {
	texts := make([]string, len(meanings))
	for i, m := range meanings {
		texts[i] = string(m.reason)
	}
	return texts
}

// Meaning returns what the reason means, as the end of a sentence; "" for an unknown one.
func (r GapReason) Meaning() string {
	for _, m := range meanings {
		if m.reason == r {
			return m.meaning
		}
	}
	return ""
}
