package ebml

// Element IDs of EBML itself (RFC 8794, sections 11.2 and 11.3).
const (
	IDEBML               uint32 = 0x1A45DFA3
	IDEBMLVersion        uint32 = 0x4286
	IDEBMLReadVersion    uint32 = 0x42F7
	IDEBMLMaxIDLength    uint32 = 0x42F2
	IDEBMLMaxSizeLength  uint32 = 0x42F3
	IDDocType            uint32 = 0x4282
	IDDocTypeVersion     uint32 = 0x4287
	IDDocTypeReadVersion uint32 = 0x4285
	IDVoid               uint32 = 0xEC
	IDCRC32              uint32 = 0xBF
)

// IDs of the Segment and of its direct children (RFC 9559, section 5.1).
const (
	IDSegment     uint32 = 0x18538067
	IDSeekHead    uint32 = 0x114D9B74
	IDInfo        uint32 = 0x1549A966
	IDTracks      uint32 = 0x1654AE6B
	IDCluster     uint32 = 0x1F43B675
	IDCues        uint32 = 0x1C53BB6B
	IDAttachments uint32 = 0x1941A469
	IDChapters    uint32 = 0x1043A770
	IDTags        uint32 = 0x1254C367
)

// IDs inside Info (RFC 9559, section 5.1.2).
const (
	IDTimestampScale uint32 = 0x2AD7B1
	IDDateUTC        uint32 = 0x4461
	IDMuxingApp      uint32 = 0x4D80
	IDWritingApp     uint32 = 0x5741
)

// IDs inside Tracks (RFC 9559, section 5.1.4).
const (
	IDTrackEntry       uint32 = 0xAE
	IDTrackNumber      uint32 = 0xD7
	IDTrackUID         uint32 = 0x73C5
	IDTrackType        uint32 = 0x83
	IDFlagEnabled      uint32 = 0xB9
	IDDefaultDuration  uint32 = 0x23E383
	IDCodecID          uint32 = 0x86
	IDCodecPrivate     uint32 = 0x63A2
	IDContentEncodings uint32 = 0x6D80
	IDVideo            uint32 = 0xE0
	IDPixelWidth       uint32 = 0xB0
	IDPixelHeight      uint32 = 0xBA
)

// IDs inside ContentEncodings (RFC 9559, section 5.1.4.1.31).
const (
	IDContentEncoding      uint32 = 0x6240
	IDContentEncodingOrder uint32 = 0x5031
	IDContentEncodingScope uint32 = 0x5032
	IDContentEncodingType  uint32 = 0x5033
	IDContentCompression   uint32 = 0x5034
	IDContentCompAlgo      uint32 = 0x4254
	IDContentCompSettings  uint32 = 0x4255
)

// IDs inside a SeekHead (RFC 9559, section 5.1.1).
const (
	IDSeek         uint32 = 0x4DBB
	IDSeekID       uint32 = 0x53AB
	IDSeekPosition uint32 = 0x53AC
)

// IDs inside a Cluster (RFC 9559, section 5.1.3).
const (
	IDTimestamp      uint32 = 0xE7
	IDPosition       uint32 = 0xA7
	IDPrevSize       uint32 = 0xAB
	IDSilentTracks   uint32 = 0x5854
	IDSimpleBlock    uint32 = 0xA3
	IDBlockGroup     uint32 = 0xA0
	IDBlock          uint32 = 0xA1
	IDBlockDuration  uint32 = 0x9B
	IDReferenceBlock uint32 = 0xFB
)

// IDs inside Tags (RFC 9559, section 5.1.8).
const (
	IDTag              uint32 = 0x7373
	IDTargets          uint32 = 0x63C0
	IDTagTrackUID      uint32 = 0x63C5
	IDTagEditionUID    uint32 = 0x63C9
	IDTagChapterUID    uint32 = 0x63C4
	IDTagAttachmentUID uint32 = 0x63C6
	IDSimpleTag        uint32 = 0x67C8
	IDTagName          uint32 = 0x45A3
	IDTagString        uint32 = 0x4487
)

// IsSegmentChild reports whether an element is a direct child of a Segment.
func IsSegmentChild(id uint32) bool {
	switch id {
	case IDSeekHead, IDInfo, IDTracks, IDCluster, IDCues, IDAttachments, IDChapters, IDTags:
		return true
	}
	return false
}

// EndsCluster reports whether an element ends a Cluster of unknown size.
func EndsCluster(id uint32) bool { return IsSegmentChild(id) || id == IDEBML || id == IDSegment }
