// Package decode turns fragments into images: it plans which frames are wanted,
// decodes no more than those need, renders and encodes them. It is the only
// package that imports libav; its results are plain Go memory.
//
// A program starts one Pool, which all streams share, and asks it for a Stream
// for each stream and its outputs. Stream.Plan takes the fragments in order and
// returns a function that decodes one of them:
//
//	pool, err := decode.NewPool(decode.Config{}, nil)
//	...
//	defer pool.Close()
//	stream, err := pool.Stream([]decode.Output{{Sink: "thumbs"}})
//	...
//	work := stream.Plan(fragment)
//	outcome, err := work(ctx, func(img media.Image) error { ... })
//
// Stream.Lost is called for a missing fragment, and Stream.End at the end of the
// stream. pipeline.Run makes these calls, with many fragments at once, for
// programs that pass it a Stream as the planner.
//
// Config and Output also build without cgo; the rest needs FFmpeg 7:
// docs/library.md explains how to build a program with it.
package decode

import (
	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// OnError selects how a run reacts to a fragment or frame that cannot be decoded.
type OnError string

// The values of on_error.
const (
	OnErrorSkip OnError = "skip"
	OnErrorFail OnError = "fail"
)

// Values returns the values of on_error.
func (OnError) Values() []string { return setting.Texts(OnErrorSkip, OnErrorFail) }

// Matrix is a YCbCr matrix, named as pipeline.yaml names it.
type Matrix string

// The matrices. Auto is bt709 from 720 lines up, else bt601.
const (
	MatrixAuto   Matrix = "auto"
	MatrixBT601  Matrix = "bt601"
	MatrixBT709  Matrix = "bt709"
	MatrixBT2020 Matrix = "bt2020"
)

// Values returns the matrices.
func (Matrix) Values() []string {
	return setting.Texts(MatrixAuto, MatrixBT601, MatrixBT709, MatrixBT2020)
}

// Range is the range of luma and chroma values.
type Range string

// The ranges.
const (
	RangeLimited Range = "limited"
	RangeFull    Range = "full"
)

// Values returns the ranges.
func (Range) Values() []string { return setting.Texts(RangeLimited, RangeFull) }

// Color is what is assumed about video without colour tags.
type Color struct {
	UntaggedMatrix Matrix `key:"untagged_matrix" doc:"The matrix of video that does not state one: auto is bt709 from 720 lines up, else bt601." example:"bt709"`
	UntaggedRange  Range  `key:"untagged_range" doc:"The range of video that does not state one." example:"full"`
}

// Concealed is what happens to pictures that libav could only guess, because data
// or a reference is missing.
type Concealed string

// The values of concealed. Kept pictures are marked in their records; dropped ones
// are gaps.
const (
	ConcealedKeep Concealed = "keep"
	ConcealedDrop Concealed = "drop"
)

// Values returns the values of concealed.
func (Concealed) Values() []string { return setting.Texts(ConcealedKeep, ConcealedDrop) }

// Deinterlace is what happens to interlaced pictures.
type Deinterlace string

// The values of deinterlace. Auto shows the first field of a picture that is marked as
// interlaced, off leaves the lines of both fields as they are.
const (
	DeinterlaceAuto Deinterlace = "auto"
	DeinterlaceOff  Deinterlace = "off"
)

// Values returns the values of deinterlace.
func (Deinterlace) Values() []string { return setting.Texts(DeinterlaceAuto, DeinterlaceOff) }

// Isolation selects where fragments are decoded.
type Isolation string

// The values of isolation. Process decodes in child processes that can do nothing else, None in the program itself. Auto
// is process where that works.
const (
	IsolationAuto    Isolation = "auto"
	IsolationProcess Isolation = "process"
	IsolationNone    Isolation = "none"
)

// Values returns the values of isolation.
func (Isolation) Values() []string {
	return setting.Texts(IsolationAuto, IsolationProcess, IsolationNone)
}

// Config is the `decode` part of pipeline.yaml.
type Config struct {
	Workers     int            `key:"workers" range:"0..1024" doc:"How many fragments are decoded at once; 0 is one for each CPU." example:"4"`
	Isolation   Isolation      `key:"isolation" doc:"Where fragments are decoded: process is in child processes that can do nothing else, none in the program itself; auto is process where the system lets it." example:"process"`
	SkipFrame   plan.SkipFrame `key:"skip_frame" doc:"Which frames are left out before sampling: nonref those that no other refers to, nonkey all but key frames; auto only leaves out work." example:"nonkey"`
	OnError     OnError        `key:"on_error" doc:"What follows damage: skip counts and reports a gap and continues, fail ends the stream." example:"fail"`
	MaxPixels   int64          `key:"max_pixels" range:"1..2147483647" doc:"The largest width x height that is decoded."`
	MaxMemory   media.Size     `key:"max_memory" range:"1B.." doc:"The memory of all decoders together, by estimate; a decoder that needs more runs alone." example:"4GiB"`
	Concealed   Concealed      `key:"concealed" doc:"What happens to pictures of which parts are guessed: keep marks them in their records, drop makes them gaps." example:"drop"`
	Deinterlace Deinterlace    `key:"deinterlace" doc:"What happens to interlaced pictures: auto shows their first field, off leaves the lines of both." example:"off"`
	Color       Color          `key:"color"`
}

// DefaultConfig returns the settings of an empty `decode` part.
func DefaultConfig() Config {
	return Config{
		Isolation:   IsolationAuto,
		SkipFrame:   plan.SkipAuto,
		OnError:     OnErrorSkip,
		MaxPixels:   33177600,
		MaxMemory:   1 << 30,
		Concealed:   ConcealedKeep,
		Deinterlace: DeinterlaceAuto,
		Color:       Color{UntaggedMatrix: MatrixAuto, UntaggedRange: RangeLimited},
	}
}

// Fit selects how a picture is fitted into the requested size.
type Fit string

// The fits. Contain keeps everything within the box, cover fills the box and
// crops, pad is contain on a background of exactly the box, stretch ignores the
// aspect ratio.
const (
	FitContain Fit = "contain"
	FitCover   Fit = "cover"
	FitPad     Fit = "pad"
	FitStretch Fit = "stretch"
)

// Values returns the fits.
func (Fit) Values() []string { return setting.Texts(FitContain, FitCover, FitPad, FitStretch) }

// RGB is a colour, written #rrggbb.
type RGB [3]uint8

// Resize is the size of a sink's images, in pixels.
type Resize struct {
	// Width and Height are the box. If one is 0, it follows from the aspect ratio;
	// if both are, the source's size is kept.
	Width      int  `key:"width" range:"0..65535" doc:"The width of images in pixels: of width and height, one 0 follows from the aspect ratio, two are the size of the source." example:"320"`
	Height     int  `key:"height" range:"0..65535" doc:"The height of images in pixels." example:"180"`
	Fit        Fit  `key:"fit" doc:"How pictures of another shape fit: contain is within width and height, cover is cut, pad has borders, stretch is distorted." example:"pad"`
	Upscale    bool `key:"upscale" doc:"Whether images may be larger than the source." example:"true"`
	Background RGB  `key:"background" with:"fit=pad" doc:"The colour of borders." example:"\"#ffffff\""`
}

// DefaultResize returns the settings of an empty `resize` part.
func DefaultResize() Resize { return Resize{Fit: FitContain} }

// PixelFormat is the layout of a raw frame.
type PixelFormat string

// The pixel formats of raw frames. rgb24, bgr24 and gray hold full-range values;
// nv12 and yuv420p keep the range and the matrix of the video.
const (
	PixelRGB24   PixelFormat = "rgb24"
	PixelBGR24   PixelFormat = "bgr24"
	PixelGray    PixelFormat = "gray"
	PixelNV12    PixelFormat = "nv12"
	PixelYUV420P PixelFormat = "yuv420p"
)

// Values returns the pixel formats of raw frames.
func (PixelFormat) Values() []string {
	return setting.Texts(PixelRGB24, PixelBGR24, PixelGray, PixelNV12, PixelYUV420P)
}

// Format is the form of a sink's objects.
type Format string

// The forms: jpeg and png for images, none (bare pixels) and npy (arrays of NumPy) for raw frames. Frames of yuv4mpeg are bare pixels,
// too, in yuv420p or gray. They have square pixels, as images have.
const (
	FormatJPEG     Format = "jpeg"
	FormatPNG      Format = "png"
	FormatNone     Format = "none"
	FormatNPY      Format = "npy"
	FormatYUV4MPEG Format = "yuv4mpeg"
)

// Values returns the forms.
func (Format) Values() []string {
	return setting.Texts(FormatJPEG, FormatPNG, FormatNone, FormatNPY, FormatYUV4MPEG)
}

// Ext returns the extension of files of format jpeg or png.
func (f Format) Ext() string {
	if f == FormatPNG {
		return "png"
	}
	return "jpg"
}

// ContentType returns the media type of files of format jpeg or png.
func (f Format) ContentType() string { return "image/" + string(f) }

// Layout is the order of an array's dimensions.
type Layout string

// The layouts: rows, columns, channels, or channels, rows, columns. Gray has rows and columns in both.
const (
	LayoutHWC Layout = "hwc"
	LayoutCHW Layout = "chw"
)

// Values returns the layouts.
func (Layout) Values() []string { return setting.Texts(LayoutHWC, LayoutCHW) }

// Number is a finite number of single precision.
type Number float32

// Normalize makes each sample x of a channel (x / 255 - mean) / std, in single precision: what torchvision's Normalize
// makes after ToTensor. Each list has an entry for each channel, in the order of the pixel format.
type Normalize struct {
	Mean []Number `key:"mean,optional" doc:"What is subtracted from x / 255 of each sample, a number for each channel; of format npy." example:"[0.485, 0.456, 0.406]"`
	Std  []Number `key:"std,optional" doc:"What the difference is divided by, a number for each channel; of format npy, whose array has float32 then." example:"[0.229, 0.224, 0.225]"`
}

// asked reports whether samples are normalized.
func (n Normalize) asked() bool { return len(n.Mean)+len(n.Std) > 0 }

// Output is what one sink asks of the decode stage: which frames, and in which form.
type Output struct {
	// Sink is the sink's name.
	Sink   string
	Sample plan.Sample
	// Filters leave out samples by their pixels.
	Filters pick.Filters
	Resize  Resize
	Format  Format
	// Quality is that of JPEG, 1..100. The mean error is about that of the Independent JPEG
	// Group's library at the same number, in fewer bytes.
	Quality int
	// PixelFormat is that of raw frames.
	PixelFormat PixelFormat
	// Layout and Normalize are those of FormatNPY. Without Normalize the samples are bytes.
	Layout    Layout
	Normalize Normalize
	// EXIF writes capture time, stream and fragment into a JPEG or a PNG.
	EXIF bool
	// Fast allows pictures that are decoded without the loop filter, if no other
	// output needs it.
	Fast bool

	// needs are the measures that Sample and Filters need.
	needs pick.Needs
}
