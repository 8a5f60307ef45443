package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// pngHeader is the size in bytes of a PNG's signature and its first chunk, IHDR.
const pngHeader = 8 + 25

// appendChunk appends a chunk of a PNG.
func appendChunk(dst []byte, kind string, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	at := len(dst)
	dst = append(append(dst, kind...), body...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[at:]))
}

// withChunks returns a copy of a PNG with chunks after its header.
func withChunks(png, chunks []byte) ([]byte, error) {
	if len(png) < pngHeader || !bytes.HasPrefix(png, []byte("\x89PNG\r\n\x1a\n")) {
		return nil, errors.New("encode png: libav returned no PNG")
	}
	out := make([]byte, 0, len(png)+len(chunks))
	out = append(append(out, png[:pngHeader]...), chunks...)
	return append(out, png[pngHeader:]...), nil
}
