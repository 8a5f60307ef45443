package source

import (
	"slices"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// The pieces that the test files are made of.

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func element(id uint32, children ...[]byte) []byte {
	return ebml.AppendElement(nil, id, cat(children...))
}

// segment is the start of a document.
func segment() []byte {
	return cat(element(ebml.IDEBML, ebml.AppendString(nil, ebml.IDDocType, "matroska")), ebml.AppendHeader(nil, ebml.IDSegment, ebml.UnknownSize))
}

// header is Tracks with one video track, number 1.
func header() []byte {
	return element(ebml.IDTracks, element(ebml.IDTrackEntry,
		ebml.AppendUint(nil, ebml.IDTrackNumber, 1), ebml.AppendUint(nil, ebml.IDTrackType, 1), ebml.AppendString(nil, ebml.IDCodecID, "V_MPEG4/ISO/AVC")))
}

func tag(name, value string) []byte {
	return element(ebml.IDSimpleTag, ebml.AppendString(nil, ebml.IDTagName, name), ebml.AppendString(nil, ebml.IDTagString, value))
}

func aws(name, value string) []byte { return tag("AWS_KINESISVIDEO_"+name, value) }

func tags(simple ...[]byte) []byte { return element(ebml.IDTags, element(ebml.IDTag, simple...)) }

func opening(n string) []byte {
	return tags(aws("FRAGMENT_NUMBER", n), aws("SERVER_TIMESTAMP", "1500000001.234"), aws("PRODUCER_TIMESTAMP", "1500000000.001"))
}

func closing(n string) []byte { return tags(aws("CONTINUATION_TOKEN", n)) }

// key is a key frame of track 1.
func key(at byte) []byte {
	return element(ebml.IDSimpleBlock, []byte{0x81, 0, at, 0x80}, []byte("key!"))
}

func cluster(at uint64, children ...[]byte) []byte {
	return element(ebml.IDCluster, ebml.AppendUint(nil, ebml.IDTimestamp, at), cat(children...))
}

// chunk is what KVS sends: two frames in one cluster.
func chunk(n string) []byte {
	return cat(segment(), header(), opening(n), cluster(1000, key(0), key(33)), closing(n))
}

// plainFile is a file of two fragments.
func plainFile() []byte {
	return cat(segment(), header(), cluster(0, key(0)), cluster(9, key(0)))
}
