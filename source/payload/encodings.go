package payload

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// Some writers wrap video: Matroska compresses its packets (ContentEncodings), or the codec is named as in AVI
// (V_MS/VFW/FOURCC). Fragments are returned without either, and their documents do not mention it.

const codecVFW = "V_MS/VFW/FOURCC"

// bitmapInfoHeader is the size of a BITMAPINFOHEADER in bytes, which precedes the codec data; fourCCAt is the
// offset of biCompression in it.
const bitmapInfoHeader, fourCCAt = 40, 16

// unwrapVFW returns the codec ID in AVI's codec data, and the actual codec data; "" when the codec cannot be decoded.
func unwrapVFW(private []byte) (codecID string, data []byte) {
	if len(private) < bitmapInfoHeader {
		return "", nil
	}
	switch strings.ToUpper(string(private[fourCCAt : fourCCAt+4])) {
	case "H264", "X264", "AVC1", "DAVC", "VSSH":
		codecID = codecAVC
	case "HEVC", "H265", "X265", "HVC1", "HEV1":
		codecID = codecHEVC
	default:
		return "", nil
	}
	return codecID, private[bitmapInfoHeader:]
}

// encoding is one ContentEncoding.
type encoding struct {
	order, scope, kind, algorithm uint64
	settings                      []byte
}

// The types, scopes and algorithms of a ContentEncoding (RFC 9559, sections 5.1.4.1.31.3 to 5.1.4.1.31.7).
const (
	scopeBlocks, scopePrivate = 1, 2
	kindEncryption            = 1
	zlibAlgorithm             = 0
	headerStripping           = 3
)

var algorithms = map[uint64]string{1: "bzlib", 2: "lzo1x"}

// parseEncodings reads the payload of ContentEncodings, in the order in which they are undone.
func parseEncodings(payload []byte) ([]encoding, error) {
	var all []encoding
	for e, err := range ebml.Find(payload, ebml.IDContentEncoding) {
		if err != nil {
			return nil, fmt.Errorf("content encodings: %w", err)
		}
		enc := encoding{scope: scopeBlocks}
		if err := enc.parse(e.Data); err != nil {
			return nil, fmt.Errorf("content encoding: %w", err)
		}
		all = append(all, enc)
	}
	slices.SortStableFunc(all, func(a, b encoding) int { return cmp.Compare(b.order, a.order) })
	return all, nil
}

func (enc *encoding) parse(data []byte) error {
	for e, err := range ebml.Elements(data) {
		if err != nil {
			return err
		}
		switch e.ID {
		case ebml.IDContentEncodingOrder:
			enc.order, err = ebml.Uint(e.Data)
		case ebml.IDContentEncodingScope:
			enc.scope, err = ebml.Uint(e.Data)
		case ebml.IDContentEncodingType:
			enc.kind, err = ebml.Uint(e.Data)
		case ebml.IDContentCompression:
			err = enc.parse(e.Data)
		case ebml.IDContentCompAlgo:
			enc.algorithm, err = ebml.Uint(e.Data)
		case ebml.IDContentCompSettings:
			enc.settings = e.Data
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isEncrypted reports whether one of the encodings is encryption.
func isEncrypted(payload []byte) bool {
	all, _ := parseEncodings(payload) // undo reports broken encodings
	return slices.ContainsFunc(all, func(enc encoding) bool { return enc.kind == kindEncryption })
}

// undo returns data without the encodings of the scope, at most limit bytes.
func undo(all []encoding, scope uint64, data []byte, limit int64) ([]byte, error) {
	for _, enc := range all {
		if enc.scope&scope == 0 {
			continue
		}
		switch enc.algorithm {
		case zlibAlgorithm:
			z, err := zlib.NewReader(bytes.NewReader(data))
			if err == nil {
				data, err = io.ReadAll(io.LimitReader(z, limit+1))
			}
			if err != nil {
				return nil, fmt.Errorf("decompress: %w", err)
			}
		case headerStripping:
			data = slices.Concat(enc.settings, data)
		default:
			name := cmp.Or(algorithms[enc.algorithm], fmt.Sprint("algorithm ", enc.algorithm))
			return nil, fmt.Errorf("compression of the track by %s %w", name, ErrUnsupported)
		}
		if int64(len(data)) > limit {
			return nil, tooLarge("decompressed size", int64(len(data)), limit)
		}
	}
	return data, nil
}

// unwrapper removes the wrapping of one fragment.
type unwrapper struct {
	s *Splitter
	f *media.Fragment
	h *head
	// encodings holds the encodings of the tracks whose blocks are rewritten.
	encodings map[uint64][]encoding
	out       []byte
	blocks    []media.Block
	todo      []media.Block // those of f that are not written yet
	ended     bool          // by a block that does not unwrap
}

// wrapped reports whether the blocks or the description of the track may have to be rewritten.
func (t track) wrapped() bool { return t.vfw != "" || len(t.encodings) > 0 }

// normalise returns the fragment without the wrapping of its tracks. Blocks that cannot be unwrapped end it.
func (s *Splitter) normalise(f *media.Fragment, h *head) (*media.Fragment, error) {
	if !slices.ContainsFunc(h.list, track.wrapped) {
		return f, nil
	}
	u := &unwrapper{s: s, f: f, h: h, encodings: map[uint64][]encoding{}, todo: f.Blocks}
	wrapped := false
	for _, t := range h.list {
		if t.Type != media.TrackVideo || t.Encrypted {
			continue
		}
		wrapped = wrapped || t.vfw != ""
		if len(t.encodings) == 0 {
			continue
		}
		all, err := parseEncodings(t.encodings)
		if err == nil {
			_, err = undo(all, scopeBlocks|scopePrivate, nil, 0)
		}
		switch {
		case errors.Is(err, ErrUnsupported) && t.Number != f.VideoTrackNumber:
			continue // the track is not wanted
		case errors.Is(err, ErrUnsupported):
			return nil, err
		}
		wrapped = true
		u.encodings[t.Number] = all
	}
	if !wrapped {
		return f, nil
	}
	if err := u.write(); err != nil {
		return nil, err
	}
	return f, nil
}

// write rewrites the document.
func (u *unwrapper) write() error {
	p := &part{}
	tracks, err := u.tracks()
	if err != nil {
		return err
	}
	header := *u.h
	header.tracks = tracks
	p.begin(make([]byte, 0, len(u.f.MKV)+len(tracks)), &header)
	u.out = p.mkv
	if err := u.body(); err != nil {
		return err
	}
	list, err := parseTracks(tracks[headerLen(tracks):])
	if err != nil {
		return err
	}
	for i, t := range list {
		u.f.Tracks[i] = t.in(u.out, p.tracksAt+headerLen(tracks))
	}
	u.f.MKV, u.f.Blocks = u.out, u.blocks
	return nil
}

// headerLen returns the length of the header of an element that is known to be whole.
func headerLen(element []byte) int {
	h, _ := ebml.ParseHeader(element)
	return h.Len
}

// tracks returns the Tracks element without the wrapping.
func (u *unwrapper) tracks() ([]byte, error) {
	var out []byte
	i := 0
	for e, err := range ebml.Elements(u.h.tracks[headerLen(u.h.tracks):]) {
		if err != nil {
			return nil, err
		}
		if e.ID != ebml.IDTrackEntry {
			out = ebml.AppendElement(out, e.ID, e.Data)
			continue
		}
		t := u.h.list[i]
		i++
		entry := e.Data
		if _, encoded := u.encodings[t.Number]; encoded || t.vfw != "" && t.Type == media.TrackVideo {
			if entry, err = u.entry(t, e.Data); err != nil {
				return nil, err
			}
		}
		out = ebml.AppendElement(out, ebml.IDTrackEntry, entry)
	}
	return ebml.AppendElement(nil, ebml.IDTracks, out), nil
}

// entry returns the payload of a TrackEntry without the wrapping.
func (u *unwrapper) entry(t track, data []byte) ([]byte, error) {
	var out []byte
	for e, err := range ebml.Elements(data) {
		switch {
		case err != nil:
			return nil, err
		case e.ID == ebml.IDContentEncodings && u.encodings[t.Number] != nil:
			continue
		case e.ID == ebml.IDCodecID && t.vfw != "":
			e.Data = []byte(t.vfw)
		case e.ID == ebml.IDCodecPrivate:
			if e.Data, err = undo(u.encodings[t.Number], scopePrivate, e.Data, maxCodecPrivate); err != nil {
				return nil, fmt.Errorf("codec data: %w", err)
			}
			if t.vfw != "" {
				_, e.Data = unwrapVFW(e.Data)
			}
			if len(e.Data) == 0 {
				continue
			}
		}
		out = ebml.AppendElement(out, e.ID, e.Data)
	}
	return out, nil
}

// body rewrites what follows the header: it rewrites Clusters, and omits Info and Tracks.
func (u *unwrapper) body() error {
	mkv := u.f.MKV
	h, _ := ebml.ParseHeader(mkv) // the EBML header
	for at := h.Len + int(h.Size); at < len(mkv) && !u.ended; {
		h, err := ebml.ParseHeader(mkv[at:])
		if err != nil {
			return fmt.Errorf("rewrite fragment: %w", err)
		}
		end := len(mkv)
		if h.Size != ebml.UnknownSize && h.Size < int64(end-at-h.Len) {
			end = at + h.Len + int(h.Size)
		}
		switch h.ID {
		case ebml.IDSegment:
			end = at + h.Len
		case ebml.IDInfo, ebml.IDTracks, ebml.IDSeekHead:
		case ebml.IDCluster:
			if end, err = u.cluster(at+h.Len, end); err != nil {
				return err
			}
		default:
			u.out = append(u.out, mkv[at:end]...)
		}
		at = end
	}
	return nil
}

// cluster rewrites a Cluster whose children are between at and limit, and returns where it ends.
func (u *unwrapper) cluster(at, limit int) (int, error) {
	u.out = ebml.AppendHeader(u.out, ebml.IDCluster, ebml.UnknownSize)
	var clock time.Duration
	for at < limit && !u.ended {
		h, err := ebml.ParseHeader(u.f.MKV[at:])
		if err != nil {
			return 0, fmt.Errorf("rewrite fragment: %w", err)
		}
		if ebml.IsSegmentChild(h.ID) {
			break
		}
		end := at + h.Len + int(h.Size)
		if h.ID == ebml.IDTimestamp {
			units, _ := ebml.Uint(u.f.MKV[at+h.Len : end]) // was already parsed
			clock = time.Duration(units) * time.Duration(u.h.scale)
		}
		n := 0
		for n < len(u.todo) && u.todo[n].Offset < end {
			n++
		}
		mine := u.todo[:n]
		u.todo = u.todo[n:]
		if n > 0 && u.encodings[mine[0].Track] != nil {
			if err := u.unwrap(mine, clock); err != nil {
				return 0, err
			}
		} else {
			for _, b := range mine {
				b.Offset += len(u.out) - at
				u.blocks = append(u.blocks, b)
			}
			u.out = append(u.out, u.f.MKV[at:end]...)
		}
		at = end
	}
	return at, nil
}

// unwrap writes the frames of one block, each as its own block. A damaged frame ends the fragment.
func (u *unwrapper) unwrap(blocks []media.Block, clock time.Duration) error {
	for _, b := range blocks {
		data, err := undo(u.encodings[b.Track], scopeBlocks, u.f.MKV[b.Offset:b.Offset+b.Size], u.s.max-int64(len(u.out)))
		if errors.Is(err, ErrTooLarge) {
			return err
		}
		if err != nil {
			u.f.Cut, u.f.CutBlock = true, b.Track == u.f.VideoTrackNumber
			u.f.Damage = cmp.Or(u.f.Damage, err.Error())
			u.ended = true
			return nil
		}
		scale := time.Duration(u.h.scale)
		relative := min((b.Time+u.f.Timecode-clock)/scale, math.MaxInt16)
		u.out = appendBlock(u.out, b, int16(relative), data)
		b.Time, b.Offset, b.Size = clock+relative*scale-u.f.Timecode, len(u.out)-len(data), len(data)
		u.blocks = append(u.blocks, b)
	}
	return nil
}
