package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The clips of build/benchclips.sh. The short one is the start of the clip with groups of 2 s.
const (
	gop1s, gop2s, gop10s = "1080p-gop1s", "1080p-gop2s", "1080p-gop10s"
	hd, medium, hevc     = "720p-gop1s", "1080p-medium", "1080p-hevc"
	short                = "1080p-gop2s-20s"
)

var allClips = []string{gop2s, gop1s, gop10s, hd, medium, hevc}

func goal(ratio float64, clips ...string) map[string]float64 {
	goals := map[string]float64{}
	for _, c := range clips {
		goals[c] = ratio
	}
	return goals
}

var cases = []testCase{
	{
		name: "a", title: "a. Decode every frame, pictures thrown away", clips: allClips, goals: goal(1.4, gop1s, gop2s, gop10s, hd, medium),
		ours: func(b *bench, clip, _ string) command {
			return command{args: []string{b.decoder}, env: decoderEnv(clip, b.workers, false)}
		},
		peers: append(threads(true, nil, func(string) []string {
			return []string{"-fps_mode", "passthrough", "-f", "null", "-"}
		}), pyav("decode", true), gstreamer("avdec_h264 ! fakesink sync=false")),
		same: (*bench).sameFrames,
	},
	{
		name: "b", title: "b. Key frames, 320-wide JPEG", clips: allClips, goals: goal(1.9, gop1s, gop2s, gop10s, hd, medium),
		ours: program("type: keyframes", "resize: {width: 320}"),
		peers: append(threads(true, []string{"-skip_frame", "nokey"}, jpegs("scale=320:-2:flags=area")),
			pyav("keyframes", true),
			gstreamer("identity drop-buffer-flags=delta-unit ! avdec_h264 ! videoscale ! video/x-raw,width=320,height=180 ! jpegenc quality=80 ! multifilesink location=%s/%%05d.jpg")),
		same: func(b *bench, clip string) error {
			return b.sameSampled(clip, "type: keyframes", []string{"-skip_frame", "nokey"}, "null")
		},
	},
	{
		name: "c", title: "c. One frame a second, 320-wide JPEG", clips: allClips,
		goals: map[string]float64{gop1s: 8, gop2s: 3.6, gop10s: 2.4},
		ours:  program("type: interval, interval: 1s", "resize: {width: 320}"),
		peers: append(threads(true, nil, jpegs(everySecond+",scale=320:-2:flags=area")),
			named(ffmpeg(-1, []string{"-skip_frame", "noref"}, jpegs("fps=1,scale=320:-2:flags=area")), "ffmpeg -skip_frame noref, fps=1 (not exact)"),
			keyFramesOnly(),
			pyav("second", true),
			gstreamer("avdec_h264 ! videorate ! video/x-raw,framerate=1/1 ! videoscale ! video/x-raw,width=320,height=180 ! jpegenc quality=80 ! multifilesink location=%s/%%05d.jpg")),
		same: func(b *bench, clip string) error {
			return b.sameSampled(clip, "type: interval, interval: 1s", nil, everySecond)
		},
	},
	{
		name: "d", title: "d. Every frame, full-size JPEG at equal PSNR", clips: []string{short}, goals: goal(1.6, short),
		ours: func(b *bench, clip, out string) command {
			return program("type: all", fmt.Sprintf("quality: %d", b.table.quality))(b, clip, out)
		},
		peers:  fullSize(),
		before: (*bench).equalQuality,
	},
	{
		name: "e", title: "e. Every frame, 224x224 rgb24", clips: []string{short}, goals: goal(1.5, short),
		ours: program("type: all", "type: raw, pixel_format: rgb24, resize: {width: 224, height: 224, fit: stretch}"),
		peers: append(threads(true, nil, func(out string) []string {
			return []string{"-vf", "scale=224:224:flags=area,format=rgb24", "-fps_mode", "passthrough", "-f", "rawvideo", "-y", filepath.Join(out, "all.rgb")}
		}), named(ffmpeg(-1, nil, func(out string) []string {
			return []string{"-vf", "scale=224:224:flags=bilinear,format=rgb24", "-fps_mode", "passthrough", "-f", "rawvideo", "-y", filepath.Join(out, "all.rgb")}
		}), "ffmpeg, bilinear (other pictures)")),
	},
	{
		name: "f", title: "f. Every frame, 224x224 rgb24, as one array of NumPy", clips: []string{short}, goals: goal(1.35, short),
		ours: program("type: all", "type: batch, format: npy, pixel_format: rgb24, resize: {width: 224, height: 224, fit: stretch}, group: {every: 24h}"),
		peers: threads(true, nil, func(out string) []string {
			return []string{"-vf", "scale=224:224:flags=area,format=rgb24", "-fps_mode", "passthrough", "-f", "rawvideo", "-y", filepath.Join(out, "all.rgb")}
		}),
	},
	{
		name: "g", title: "g. Every frame, 224x224 yuv420p, as one yuv4mpeg", clips: []string{short}, goals: goal(1.35, short),
		ours: program("type: all", "type: batch, format: yuv4mpeg, resize: {width: 224, height: 224, fit: stretch}, group: {every: 24h}"),
		peers: threads(true, nil, func(out string) []string {
			// The same pictures without the header of each: the ffmpeg that build/libav.sh builds for this has no muxer for yuv4mpeg.
			return []string{"-vf", "scale=224:224:flags=area,format=yuv420p", "-fps_mode", "passthrough", "-f", "rawvideo", "-y", filepath.Join(out, "all.yuv")}
		}),
	},
	{
		name: "h", title: "h. One frame a second, 320-wide JPEG, in tar files", clips: []string{gop2s}, goals: goal(1, gop2s),
		ours:    program("type: interval, interval: 1s", "type: webdataset, resize: {width: 320}"),
		grouped: true,
		peers:   []contender{{name: "kvsframes, single files", exact: true, run: program("type: interval, interval: 1s", "resize: {width: 320}")}},
	},
}

// everySecond is ffmpeg's filter for the first frame of each second of video with 30 frames a second. Its fps
// filter rounds, and picks other frames.
const everySecond = `select=not(mod(n\,30))`

// program returns a run of kvsframes over a clip, with one sink.
func program(sampling, sink string) func(b *bench, clip, out string) command {
	return func(b *bench, clip, out string) command {
		return command{args: []string{b.program, "run", b.settings(fileSource(clip), out, sampling, sink)}}
	}
}

// decoderEnv returns the environment in which the test program of package decode decodes a clip.
func decoderEnv(clip string, workers int, hashes bool) []string {
	return []string{
		"KVSFRAMES_BENCH_DECODE=" + clip, "KVSFRAMES_BENCH_WORKERS=" + strconv.Itoa(workers),
		"KVSFRAMES_BENCH_HASHES=" + strconv.FormatBool(hashes),
	}
}

// threads returns ffmpeg with one thread, with one for each core, and with its default.
func threads(exact bool, input []string, output func(out string) []string) (all []contender) {
	for _, n := range []int{-1, 1, 0} {
		c := ffmpeg(n, input, output)
		c.exact = exact
		all = append(all, c)
	}
	return all
}

// ffmpeg returns ffmpeg with a number of decoder threads: -1 is its default, 0 one for each core.
func ffmpeg(decoderThreads int, input []string, output func(out string) []string) contender {
	c := contender{name: "ffmpeg, default threads"}
	switch decoderThreads {
	case 0:
		c.name = "ffmpeg -threads CORES"
	case 1:
		c.name = "ffmpeg -threads 1"
	}
	c.run = func(b *bench, clip, out string) command {
		args := []string{b.ffmpeg, "-nostdin", "-loglevel", "fatal"}
		if n := decoderThreads; n >= 0 {
			if n == 0 {
				n = b.workers
			}
			args = append(args, "-threads", strconv.Itoa(n))
		}
		args = append(append(args, input...), "-i", clip, "-map", "0:v:0")
		return command{args: append(args, output(out)...)}
	}
	return c
}

// keyFramesOnly returns ffmpeg with the settings for a clip that is known to have key frames on the seconds.
func keyFramesOnly() contender {
	keys := ffmpeg(1, []string{"-skip_frame", "nokey"}, jpegs("scale=320:-2:flags=area"))
	return contender{name: "ffmpeg -skip_frame nokey (right only where key frames fall on the seconds)", run: func(b *bench, clip, out string) command {
		if !strings.Contains(filepath.Base(clip), "gop1s") {
			return command{args: []string{""}}
		}
		return keys.run(b, clip, out)
	}}
}

func named(c contender, name string) contender {
	c.name = name
	return c
}

func jpegs(filters string, more ...string) func(out string) []string {
	return func(out string) []string {
		args := []string{"-vf", filters, "-fps_mode", "passthrough", "-q:v", "3"}
		return append(append(args, more...), filepath.Join(out, "%05d.jpg"))
	}
}

// fullSize returns ffmpeg with its settings for a full-size JPEG of every frame. All give the same pictures;
// their files differ in size.
func fullSize() []contender {
	all := threads(true, nil, jpegs("null"))
	all = append(all, threads(true, nil, jpegs("null", "-huffman", "default"))...)
	for i := range all[3:] {
		all[3+i].name += " -huffman default"
	}
	return append(all, contender{name: "ffmpeg -threads CORES, encoder too", exact: true, run: func(b *bench, clip, out string) command {
		n := strconv.Itoa(b.workers)
		return ffmpeg(0, nil, jpegs("null", "-threads", n)).run(b, clip, out)
	}})
}

// pyav returns a script for PyAV. Its JPEGs are Pillow's.
func pyav(what string, exact bool) contender {
	return contender{name: "PyAV", exact: exact, run: func(b *bench, clip, out string) command {
		return command{args: []string{b.python, b.script, what, clip, out}}
	}}
}

// gstreamer returns a pipeline of GStreamer that starts with parsed H.264 or H.265. A %s in it is the folder.
func gstreamer(pipeline string) contender {
	return contender{name: "GStreamer (pictures not compared)", run: func(b *bench, clip, out string) command {
		return command{args: append([]string{b.gstreamer, "-q"}, launch(clip, out, pipeline)...)}
	}}
}
