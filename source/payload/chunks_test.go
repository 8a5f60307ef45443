package payload

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// The pieces that the test payloads are made of.

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func element(id uint32, children ...[]byte) []byte {
	return ebml.AppendElement(nil, id, cat(children...))
}

func number(id uint32, v uint64) []byte { return ebml.AppendUint(nil, id, v) }

func text(id uint32, v string) []byte { return ebml.AppendString(nil, id, v) }

func open(id uint32) []byte { return ebml.AppendHeader(nil, id, ebml.UnknownSize) }

// ebmlHead begins every document.
func ebmlHead() []byte { return element(ebml.IDEBML, text(ebml.IDDocType, "matroska\x00")) }

// segment is the start of a chunk of KVS.
func segment() []byte { return cat(ebmlHead(), open(ebml.IDSegment)) }

func info(scale uint64) []byte { return element(ebml.IDInfo, number(ebml.IDTimestampScale, scale)) }

func videoEntry(n uint64, more ...[]byte) []byte {
	return element(ebml.IDTrackEntry,
		number(ebml.IDTrackNumber, n), number(ebml.IDTrackType, 1), text(ebml.IDCodecID, "V_MPEG4/ISO/AVC\x00\x00"),
		element(ebml.IDCodecPrivate, []byte{1, 77, 64, 30}), number(ebml.IDDefaultDuration, 33_333_333),
		element(ebml.IDVideo, number(ebml.IDPixelWidth, 64), number(ebml.IDPixelHeight, 48)), cat(more...))
}

func audioEntry(n uint64) []byte {
	return element(ebml.IDTrackEntry, number(ebml.IDTrackNumber, n), number(ebml.IDTrackType, 2), text(ebml.IDCodecID, "A_AAC"))
}

// header is Info and Tracks with one video track, number 1.
func header() []byte { return cat(info(1_000_000), element(ebml.IDTracks, videoEntry(1))) }

// header2 has a video track 1 and an audio track 2.
func header2() []byte {
	return cat(info(1_000_000), element(ebml.IDTracks, videoEntry(1), audioEntry(2)))
}

func tag(name, value string) []byte {
	return element(ebml.IDSimpleTag, text(ebml.IDTagName, name), text(ebml.IDTagString, value))
}

func aws(name, value string) []byte { return tag("AWS_KINESISVIDEO_"+name, value) }

// tags is a Tags element with one Tag without targets.
func tags(simple ...[]byte) []byte { return element(ebml.IDTags, element(ebml.IDTag, simple...)) }

func opening(n string) []byte {
	return tags(aws("FRAGMENT_NUMBER", n), aws("SERVER_TIMESTAMP", "1500000001.234"), aws("PRODUCER_TIMESTAMP", "1500000000.001"))
}

func closing(n string) []byte {
	return tags(aws("MILLIS_BEHIND_NOW", "17"), aws("CONTINUATION_TOKEN", n))
}

func block(track byte, at int16, flags byte, payload string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x80 | track}, uint16(at))
	return append(append(b, flags), payload...)
}

func simple(track byte, at int16, flags byte, payload string) []byte {
	return element(ebml.IDSimpleBlock, block(track, at, flags, payload))
}

// key and delta are blocks of track 1.
func key(at int16) []byte   { return simple(1, at, 0x80, "key!") }
func delta(at int16) []byte { return simple(1, at, 0, "dlt") }

func group(at int16, more ...[]byte) []byte {
	return element(ebml.IDBlockGroup, element(ebml.IDBlock, block(1, at, 0, "grp")), cat(more...))
}

// cluster has a known size, openCluster an unknown one.
func cluster(at uint64, children ...[]byte) []byte {
	return element(ebml.IDCluster, number(ebml.IDTimestamp, at), cat(children...))
}

func openCluster(at uint64, children ...[]byte) []byte {
	return cat(open(ebml.IDCluster), number(ebml.IDTimestamp, at), cat(children...))
}

// chunk is what KVS sends: two blocks in one cluster.
func chunk(n string) []byte {
	return cat(segment(), header(), opening(n), cluster(1000, key(0), delta(33)), closing(n))
}

// short cuts the last n bytes off.
func short(b []byte, n int) []byte { return b[:len(b)-n] }

// split is a case of the table: a payload and what comes out of it, as the
// function describe writes it.
type split struct {
	name    string
	payload []byte
	want    []string
}

// splits is the one table that the tests, the fuzz target and the benchmark use.
func splits() []split {
	return slices.Concat(chunkSplits(), cutSplits(), errorSplits(), contentSplits(), plainSplits(), hostileSplits())
}

func chunkSplits() []split {
	awsTags := func(names ...string) []byte {
		return tags(aws("FRAGMENT_NUMBER", "7"), aws(names[0], "1500000001.5"), aws(names[1], "0.000"))
	}
	return []split{
		{"an empty payload has no fragment", nil, nil},
		{"a chunk is a fragment", chunk("7"), []string{"7 cut=0 t=1s [1k0 1d33]"}},
		{"two chunks are two fragments", cat(chunk("7"), chunk("8")), []string{"7 cut=0 t=1s [1k0 1d33]", "8 cut=0 t=1s [1k0 1d33]"}},
		{
			"a cluster of unknown size ends at the next Tags",
			cat(segment(), header(), opening("7"), openCluster(5, key(0), delta(-3)), tags(tag("a", "b")), closing("7")),
			[]string{"7 cut=0 t=5ms [1k0 1d-3] a=b"},
		},
		{
			"a cluster of unknown size ends at the next chunk",
			cat(segment(), header(), opening("7"), openCluster(5, key(0)), chunk("8")),
			[]string{"7 cut=0 t=5ms [1k0]", "8 cut=0 t=1s [1k0 1d33]"},
		},
		{
			"blocks of several clusters count from the first cluster",
			cat(segment(), header(), opening("7"), cluster(1000, key(0)), cluster(2000, delta(-1)), closing("7")),
			[]string{"7 cut=0 t=1s [1k0 1d999]"},
		},
		{
			"a chunk without closing tags is whole when its cluster is",
			cat(segment(), header(), opening("7"), cluster(1000, key(0))),
			[]string{"7 cut=0 t=1s [1k0]"},
		},
		{
			"a chunk of known size is whole where its Segment ends",
			cat(ebmlHead(), element(ebml.IDSegment, header(), opening("7"), openCluster(0, key(0))), chunk("8")),
			[]string{"7 cut=0 t=0s [1k0]", "8 cut=0 t=1s [1k0 1d33]"},
		},
		{
			"a chunk without a cluster is a fragment without blocks",
			cat(segment(), header(), opening("7"), chunk("8")),
			[]string{"7 cut=0 t=0s []", "8 cut=0 t=1s [1k0 1d33]"},
		},
		{
			"what follows the continuation token is skipped",
			cat(chunk("7"), element(ebml.IDVoid, make([]byte, 9)), tags(tag("late", "1")), chunk("8")),
			[]string{"7 cut=0 t=1s [1k0 1d33]", "8 cut=0 t=1s [1k0 1d33]"},
		},
		{
			"a token before the cluster does not end the chunk",
			cat(segment(), header(), opening("7"), closing("7"), cluster(0, key(0)), tags(tag("a", "b"))),
			[]string{"7 cut=0 t=0s [1k0] a=b"},
		},
		{
			"fillers, check sums, cues and silent tracks are passed over",
			cat(ebmlHead(), element(ebml.IDVoid, []byte("x")), open(ebml.IDSegment), element(ebml.IDCRC32, []byte("crc!")), element(ebml.IDSeekHead, []byte("ssss")), header(), opening("7"),
				cluster(0, element(ebml.IDCRC32, []byte("crc!")), key(0), element(ebml.IDVoid), element(ebml.IDSilentTracks)), element(ebml.IDCues, []byte("cues")), closing("7")),
			[]string{"7 cut=0 t=0s [1k0]"},
		},
		{
			"the magic bytes of a chunk inside a picture mean nothing",
			cat(segment(), header(), opening("7"), openCluster(0, simple(1, 0, 0x80, string(segment()))), closing("7"), chunk("8")),
			[]string{"7 cut=0 t=0s [1k0]", "8 cut=0 t=1s [1k0 1d33]"},
		},
		{
			"the other spelling of the timestamps is read",
			cat(segment(), header(), awsTags("SERVER_SIDE_TIMESTAMP", "PRODUCER_SIDE_TIMESTAMP"), cluster(0, key(0))),
			[]string{"7 cut=0 t=0s [1k0]"},
		},
		{
			"a document of tags alone holds nothing",
			cat(segment(), tags(tag("a", "b")), chunk("8")),
			[]string{"8 cut=0 t=1s [1k0 1d33]"},
		},
		{"tags alone are no cut chunk", cat(segment(), tags(tag("a", "b"))), nil},
	}
}

func cutSplits() []split {
	whole := cat(segment(), header(), opening("7"), cluster(1000, key(0), delta(33)))
	return []split{
		{"a chunk that ends inside a block is cut", short(whole, 1), []string{"7 cut=1+1 t=1s [1k0]"}},
		{"a chunk that ends before the track number of its block is cut in it", short(whole, 7), []string{"7 cut=1+1 t=1s [1k0]"}},
		{"a chunk that ends between two blocks is cut", short(whole, len(delta(33))), []string{"7 cut=1 t=1s [1k0]"}},
		{"a chunk that ends inside its first block is cut", short(whole, len(delta(33))+1), []string{"7 cut=1+1 t=1s []"}},
		{
			"a block of another track that is cut off is no frame",
			short(cat(segment(), header2(), opening("7"), openCluster(0, key(0), simple(2, 3, 0x80, "audio"))), 2),
			[]string{"7 cut=1 t=0s [1k0]"},
		},
		{
			"a block group that is cut off is a frame",
			short(cat(segment(), header2(), opening("7"), openCluster(0, key(0), group(5, number(ebml.IDReferenceBlock, 1)))), 1),
			[]string{"7 cut=1+1 t=0s [1k0]"},
		},
		{
			"a cluster of unknown size at the end of the payload is cut",
			cat(segment(), header(), opening("7"), openCluster(0, key(0), delta(33))),
			[]string{"7 cut=1 t=0s [1k0 1d33]"},
		},
		{"a chunk that ends in its closing tags is cut and has its blocks", short(chunk("7"), 5), []string{"7 cut=1 t=1s [1k0 1d33]"}},
		{"a chunk that ends before its cluster is cut", cat(segment(), header(), opening("7")), []string{"7 cut=1 t=0s []"}},
		{"a chunk that ends before its number is a gap", short(cat(segment(), header(), opening("7")), 3), []string{"gap  lost=0: the payload ended inside the header of a chunk, before its first fragment was known"}},
		{"a chunk that ends after its tracks is a gap", cat(chunk("7"), segment(), header()), []string{"7 cut=0 t=1s [1k0 1d33]", "gap  lost=0: the payload ended inside the header of a chunk, before its first fragment was known"}},
		{"a payload of half an EBML header is a gap", ebmlHead()[:9], []string{"gap  lost=0: the payload ended inside the header of a chunk, before its first fragment was known"}},
		{"a payload that ends in what follows a token lost nothing", cat(chunk("7"), element(ebml.IDVoid, make([]byte, 9))[:4]), []string{"7 cut=0 t=1s [1k0 1d33]"}},
	}
}

func errorSplits() []split {
	failed := func(simple ...[]byte) []byte { return cat(segment(), tags(simple...), chunk("8")) }
	const after = "8 cut=0 t=1s [1k0 1d33]"
	return []split{
		{
			"an error chunk that may pass is returned as it is",
			failed(aws("ERROR_CODE", "FRAGMENT_NOT_FOUND"), aws("ERROR_ID", "3000"), aws("FRAGMENT_NUMBER", "7")),
			[]string{"tag: stream reports error 3000 FRAGMENT_NOT_FOUND for fragment 7", after},
		},
		{
			"an error chunk about a fragment that is not there is a gap",
			failed(aws("ERROR_ID", "4000"), aws("FRAGMENT_NUMBER", "7")),
			[]string{"gap 7 lost=0: stream reports error 4000 for fragment 7", after},
		},
		{
			"the other spelling of an error is read",
			failed(aws("EXCEPTION_ERROR_CODE", "4501"), aws("EXCEPTION_MESSAGE", "key disabled")),
			[]string{"tag: stream reports error 4501 4501 key disabled", after},
		},
		{
			"an error after blocks comes after their fragment",
			cat(segment(), header(), opening("7"), cluster(0, key(0)), tags(aws("ERROR_ID", "5000"))),
			[]string{"7 cut=0 t=0s [1k0]", "tag: stream reports error 5000 for fragment 7"},
		},
	}
}

func contentSplits() []split {
	with := func(head []byte, children ...[]byte) []byte {
		return cat(segment(), head, opening("7"), cluster(0, children...), closing("7"), chunk("8"))
	}
	const after = "8 cut=0 t=1s [1k0 1d33]"
	encoded := cat(info(500_000), element(ebml.IDTracks, videoEntry(1, element(ebml.IDContentEncodings, []byte{0x50, 0x31, 0x80}))))
	manyTags := tags(slices.Repeat([][]byte{tag("a", "b")}, maxTags+1)...)
	manyTracks := element(ebml.IDTracks, slices.Repeat([][]byte{audioEntry(2)}, maxTracks+1)...)
	bad := func(what string) []string { return []string{"gap 7 lost=" + what, after} }
	return []split{
		{"a block group is a key frame if it refers to nothing", with(header(), group(0), group(9, number(ebml.IDReferenceBlock, 3))), []string{"7 cut=0 t=0s [1k0 1d9]", after}},
		{"the timestamp scale and encodings are heeded", with(encoded, key(0), delta(7)), []string{"7 cut=0 t=0s [1k0 1d3.5] encoded", after}},
		{"frames laced as Xiph does have times of their own", with(header(), simple(1, 0, 0x82, "\x02\x01\x02abbccc")), []string{"7 cut=0 t=0s [1k0 1k33.333333 1k66.666666]", after}},
		{"frames laced at one size have times of their own", with(header(), simple(1, 0, 0x84, "\x01aabb")), []string{"7 cut=0 t=0s [1k0 1k33.333333]", after}},
		{"frames laced as EBML does have times of their own", with(header(), simple(1, 0, 0x86, "\x02\x82\xbeaabc")), []string{"7 cut=0 t=0s [1k0 1k33.333333 1k66.666666]", after}},
		{"a lacing that does not fit ends the fragment", with(header(), key(0), simple(1, 0, 0x82, "\x02\x11\x02abbccc")), []string{"7 cut=1 t=0s [1k0] damage: bytes 280 to 294 are damaged: at byte 280: laced frames do not fit their block", after}},
		{"a lacing of no bytes ends the fragment", with(header(), key(0), simple(1, 0, 0x84, "\xff")), []string{"7 cut=1 t=0s [1k0] damage: bytes 280 to 286 are damaged: at byte 280: laced frames do not fit their block", after}},
		{"a block without a header is a gap", with(header(), element(ebml.IDSimpleBlock, []byte{0x81})), bad("0: bytes 270 to 272 are damaged: at byte 270: block ends inside its header")},
		{"a block before the cluster's timestamp is a gap", cat(segment(), header(), opening("7"), element(ebml.IDCluster, key(0)), chunk("8")), bad("0: bytes 267 to 276 are damaged: at byte 267: block before the timestamp of its cluster")},
		{"a timestamp out of range is a gap", cat(segment(), header(), opening("7"), cluster(1<<62, key(0)), chunk("8")), bad("0: bytes 267 to 286 are damaged: at byte 267: cluster timestamp is out of range")},
		{"a scale of zero is a gap", with(info(0), key(0)), bad("0: at byte 29: timestamp scale 0 ns is out of range")},
		{"a clock that is no number is a gap", cat(segment(), header(), tags(aws("FRAGMENT_NUMBER", "7"), aws("PRODUCER_TIMESTAMP", "1e3")), cluster(0, key(0)), chunk("8")), bad(`1: at byte 96: tag AWS_KINESISVIDEO_PRODUCER_TIMESTAMP: "1e3" is not a time in seconds`)},
		{"tags are capped at what KVS takes", cat(segment(), header(), opening("7"), cluster(0, key(0)), manyTags, closing("7"), chunk("8")), []string{"7 cut=0 t=0s [1k0]" + strings.Repeat(" a=b", 10), after}},
		{"too many tracks are a gap", with(manyTracks, key(0)), bad("0: number of tracks (101) is too big, maximum is 100")},
		{
			"tags of muxers and of tracks are not the fragment's",
			cat(segment(), header(), element(ebml.IDTags,
				element(ebml.IDTag, element(ebml.IDTargets), tag("ENCODER", "Lavf"), tag("title", "mine")),
				element(ebml.IDTag, element(ebml.IDTargets, number(ebml.IDTagTrackUID, 1)), tag("HANDLER_NAME", "h"))),
				opening("7"), cluster(0, key(0)), tags(tag("ENCODER", "x\x00y"), aws("IMAGE_PREFIX", "p"), tag("", "nameless")), closing("7")),
			[]string{"7 cut=0 t=0s [1k0] title=mine ENCODER=x AWS_KINESISVIDEO_IMAGE_PREFIX=p"},
		},
	}
}

func plainSplits() []split {
	clusters := cat(cluster(0, key(0), delta(33)), cluster(1000, key(0)), cluster(2000, simple(2, 0, 0x80, "audio"), delta(5)), element(ebml.IDCues, []byte("cues")), cluster(3000, key(0)))
	head := cat(element(ebml.IDSeekHead, []byte("ssss")), element(ebml.IDVoid, make([]byte, 200)), header2(), tags(tag("title", "t")))
	want := []string{"000000 cut=0 t=0s [1k0 1d33]", "000001 cut=0 t=1s [1k0 2k1000 1d1005]", "000003 cut=0 t=3s [1k0]"}
	cutLast := []string{want[0], "000001 cut=1 t=1s [1k0 2k1000 1d1005]"}
	return []split{
		{"a plain file is cut where clusters start with key frames", cat(ebmlHead(), element(ebml.IDSegment, head, clusters)), want},
		{"a plain file may have a Segment of unknown size", cat(segment(), head, clusters), want},
		{"a plain file may have clusters of unknown size", cat(segment(), head, openCluster(0, key(0)), openCluster(9, delta(1)), openCluster(20, key(0))), []string{"000000 cut=0 t=0s [1k0 1d10]", "000002 cut=0 t=20ms [1k0]"}},
		{"a plain file that ends in a block is cut", short(cat(ebmlHead(), element(ebml.IDSegment, head, clusters)), 1), []string{want[0], "000001 cut=1+1 t=1s [1k0 2k1000 1d1005]"}},
		{"a plain file that ends between clusters is cut", short(cat(ebmlHead(), element(ebml.IDSegment, head, clusters)), len(cluster(3000, key(0)))), cutLast},
		{"a plain file that is broken hands on what is whole", cat(segment(), head, cluster(0, key(0)), []byte{0}), []string{"000000 cut=0 t=0s [1k0]", "gap  lost=0: bytes 364 to 364 are damaged: at byte 364: invalid element id"}},
		{"numbers go on in a second plain file", cat(segment(), head, cluster(0, key(0)), segment(), head, cluster(0, key(0))), []string{"000000 cut=0 t=0s [1k0]", "000001 cut=0 t=0s [1k0]"}},
		{"a cluster that makes no sense spoils its own fragment alone", cat(segment(), head, cluster(0, key(0)), cluster(5, key(0), element(ebml.IDSimpleBlock)), cluster(9, key(0))), []string{"000000 cut=0 t=0s [1k0]", "000001 cut=1 t=5ms [1k0] damage: bytes 382 to 383 are damaged: at byte 382: block without a track number", "000002 cut=0 t=9ms [1k0]"}},
	}
}

func hostileSplits() []split {
	huge := ebml.AppendHeader(nil, ebml.IDSimpleBlock, 1<<30)
	return []split{
		{"text is no payload", []byte("this is not a video"), []string{"syntax: split stream cam chunk 0: at byte 0: element 0x7468 where an EBML header is due"}},
		{"zeros are no payload", make([]byte, 40), []string{"syntax: split stream cam chunk 0: at byte 0: invalid element id"}},
		{"an EBML header without a Segment is no document", cat(ebmlHead(), ebmlHead()), []string{"gap  lost=0: bytes 17 to 33 are damaged: at byte 17: element 0x1a45dfa3 where a Segment is due"}},
		{"a block of a gigabyte is refused", cat(segment(), open(ebml.IDCluster), huge), []string{"gap 000000 lost=0: bytes 41 to 46 are damaged: at byte 41: element 0xa3 size (1073741824) is above that of a whole fragment, 67108864"}},
		{"a block that is larger than its cluster is refused", cat(segment(), opening("7"), ebml.AppendHeader(nil, ebml.IDCluster, 9), huge), []string{"gap 7 lost=0: bytes 200 to 205 are damaged: at byte 200: element 0xa3 size (1073741824) is above that of a whole fragment, 67108864"}},
		{"tags of unknown size are refused", cat(segment(), open(ebml.IDTags), opening("7")), []string{"gap  lost=0: bytes 29 to 40 are damaged: at byte 29: element 0x1254c367 of unknown size", "7 cut=1 t=0s []"}},
		{"a chunk inside a chunk of known size ends it", cat(ebmlHead(), element(ebml.IDSegment, header(), opening("7"), chunk("8"))), []string{"7 cut=0 t=0s []", "8 cut=0 t=1s [1k0 1d33]"}},
		{"a cluster inside a cluster ends it", cat(segment(), header(), opening("7"), cluster(0, cluster(1))), []string{"7 cut=1 t=0s [] damage: at byte 270: the Cluster ends 8 bytes early"}},
		{"a large EBML header is refused", ebml.AppendHeader(nil, ebml.IDEBML, 1<<20), []string{"large: split stream cam chunk 0: size of the EBML header (1048576) is too big, maximum is 4096"}},
	}
}
