package ebml

import "encoding/binary"

// AppendDocumentHead appends what a Matroska document of a DocTypeVersion begins with: its EBML header, the header of its
// Segment, of unknown size so that the document may grow, and Info, with timestamps in milliseconds.
func AppendDocumentHead(dst []byte, version uint64) []byte {
	header := AppendUint(nil, IDEBMLVersion, 1)
	header = AppendUint(header, IDEBMLReadVersion, 1)
	header = AppendUint(header, IDEBMLMaxIDLength, 4)
	header = AppendUint(header, IDEBMLMaxSizeLength, 8)
	header = AppendString(header, IDDocType, "matroska")
	header = AppendUint(header, IDDocTypeVersion, version)
	header = AppendUint(header, IDDocTypeReadVersion, 2)
	dst = AppendHeader(AppendElement(dst, IDEBML, header), IDSegment, UnknownSize)
	const millisecond = 1_000_000
	info := AppendUint(nil, IDTimestampScale, millisecond)
	info = AppendString(info, IDMuxingApp, "kvsframes")
	info = AppendString(info, IDWritingApp, "kvsframes")
	return AppendElement(dst, IDInfo, info)
}

// AppendSimpleBlock appends a SimpleBlock with data behind its flags (RFC 9559, section 10.2). time is in timestamp units,
// from that of the Cluster.
func AppendSimpleBlock(dst []byte, track uint64, time int16, flags byte, data []byte) []byte {
	var memory [11]byte
	head := AppendSize(memory[:0], int64(track))
	head = append(binary.BigEndian.AppendUint16(head, uint16(time)), flags)
	dst = AppendHeader(dst, IDSimpleBlock, int64(len(head)+len(data)))
	return append(append(dst, head...), data...)
}
