package config

import (
	"strings"
)

// kind is how a value is written and what it is decoded to.
type kind uint8

const (
	kindText kind = iota
	kindChoice
	kindInt
	kindBool
	kindDuration
	kindSize
	kindTime
	kindRate
	kindColor
	kindTexts
	kindTimes
	kindTrack
	kindStart
)

// key is one key of the contract that holds a value.
type key struct {
	// path is relative to its part: to the file, or to one sink.
	path string
	kind kind
	// values are those of a choice; later are the ones that the contract has and
	// this version does not.
	values, later []string
	// optional reports whether the zero value means "not set" and is no default.
	optional bool
	// pairs reports whether the list may be written as a mapping, whose entries are NAME=VALUE.
	pairs bool
	// named are two keys that an entry of the list may have, whose entry is then the value
	// of the second, =, and that of the first.
	named [2]string
	// unavailable reports whether this version knows the key and nothing of what it does.
	unavailable bool
	// instead says what to do without an unavailable key.
	instead string
	// selector names the key that decides whether this one means anything, and
	// with which of its values it does.
	selector string
	needs    []string
}

// part is a set of keys with one root.
type part struct {
	keys     []key
	byPath   map[string]*key
	mappings map[string]bool
}

func newPart(keys []key) *part {
	p := &part{keys: keys, byPath: map[string]*key{}, mappings: map[string]bool{}}
	for i := range keys {
		path := keys[i].path
		p.byPath[path] = &keys[i]
		for {
			dot := strings.LastIndexByte(path, '.')
			if dot < 0 {
				break
			}
			path = path[:dot]
			p.mappings[path] = true
		}
	}
	return p
}

// children returns the names right below path ("" is the root), in order.
func (p *part) children(path string) []string {
	var names []string
	seen := map[string]bool{}
	for _, k := range p.keys {
		rest, ok := strings.CutPrefix(join("", k.path), path)
		if path != "" {
			rest, ok = strings.CutPrefix(k.path, path+".")
		}
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

const useProfile = ": name the profile, with its role if it has one, in AWS_PROFILE"

// The two parts of the contract. The order is that of pipeline.yaml and of Print.
var (
	fileKeys = newPart([]key{
		{path: "version", kind: kindInt},

		{path: "source.type", kind: kindChoice, values: []string{"kvs", "file"}},
		{path: "source.track", kind: kindTrack},
		{path: "source.fragment_tags", kind: kindTexts, optional: true, pairs: true},
		{path: "source.streams", kind: kindTexts, optional: true, named: [2]string{"stream", "as"}, selector: "source.type", needs: []string{"kvs"}},
		{path: "source.profile", unavailable: true, instead: useProfile},
		{path: "source.role_arn", unavailable: true, instead: useProfile},
		{path: "source.region", kind: kindText, selector: "source.type", needs: []string{"kvs"}},
		{path: "source.endpoint_url", kind: kindText, selector: "source.type", needs: []string{"kvs"}},
		{path: "source.mode", kind: kindChoice, values: []string{"live", "archive", "auto"}, selector: "source.type", needs: []string{"kvs"}},
		{path: "source.start_selector.type", kind: kindChoice, values: []string{
			"NOW", "EARLIEST", "FRAGMENT_NUMBER", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP", "CONTINUATION_TOKEN",
		}, selector: "source.type", needs: []string{"kvs"}},
		{path: "source.start_selector.timestamp", kind: kindTime, optional: true, selector: "source.start_selector.type", needs: []string{"PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP"}},
		{path: "source.start_selector.after_fragment_number", kind: kindText, optional: true, selector: "source.start_selector.type", needs: []string{"FRAGMENT_NUMBER"}},
		{path: "source.start_selector.continuation_token", kind: kindText, optional: true, selector: "source.start_selector.type", needs: []string{"CONTINUATION_TOKEN"}},
		{path: "source.end.timestamp", kind: kindTime, optional: true},
		{path: "source.end.duration", kind: kindDuration, optional: true},
		{path: "source.end.fragments", kind: kindInt, optional: true},
		{path: "source.end.idle_timeout", kind: kindDuration, optional: true},
		{path: "source.deliver", unavailable: true},
		{path: "source.max_fragment_size", kind: kindSize},
		{path: "source.paths", kind: kindTexts, optional: true, selector: "source.type", needs: []string{"file"}},
		{path: "source.stream", kind: kindText, optional: true, selector: "source.type", needs: []string{"file"}},
		{path: "source.start_time", kind: kindStart, selector: "source.type", needs: []string{"file"}},

		{path: "decode.workers", kind: kindInt},
		{path: "decode.isolation", unavailable: true},
		{path: "decode.skip_frame", kind: kindChoice, values: []string{"auto", "none", "nonref", "nonkey"}},
		{path: "decode.on_error", kind: kindChoice, values: []string{"skip", "fail"}},
		{path: "decode.max_pixels", kind: kindInt},
		{path: "decode.max_memory", kind: kindSize},
		{path: "decode.concealed", kind: kindChoice, values: []string{"keep", "drop"}},
		{path: "decode.deinterlace", kind: kindChoice, values: []string{"auto", "off"}},
		{path: "decode.color.untagged_matrix", kind: kindChoice, values: []string{"auto", "bt601", "bt709", "bt2020"}},
		{path: "decode.color.untagged_range", kind: kindChoice, values: []string{"limited", "full"}},

		{path: "checkpoint.type", kind: kindChoice, values: []string{"auto", "none"}, later: []string{"file", "s3"}},
		{path: "checkpoint.path", kind: kindText},
		{path: "checkpoint.every", unavailable: true},
		{path: "checkpoint.bucket", unavailable: true},
		{path: "checkpoint.prefix", unavailable: true},
		{path: "checkpoint.region", unavailable: true},
		{path: "checkpoint.profile", unavailable: true, instead: useProfile},
		{path: "checkpoint.role_arn", unavailable: true, instead: useProfile},
		{path: "checkpoint.endpoint_url", unavailable: true},
		{path: "checkpoint.force_path_style", unavailable: true},

		{path: "lag.max", unavailable: true},
		{path: "lag.action", unavailable: true},

		{path: "service.http", kind: kindText, unavailable: true},
		{path: "service.log.level", kind: kindChoice, values: []string{"debug", "info", "warn", "error"}},
		{path: "service.log.format", kind: kindChoice, values: []string{"auto", "text", "json"}},
		{path: "service.progress", kind: kindChoice, values: []string{"auto", "on", "off"}},
		{path: "service.shutdown_timeout", kind: kindDuration},

		{path: "fleet", unavailable: true},
	})

	sinkKeys = newPart([]key{
		{path: "name", kind: kindText, optional: true},
		{path: "type", kind: kindChoice, values: []string{"image", "raw"}, later: []string{"webdataset", "parquet", "batch", "sprite"}},

		{path: "sample.type", kind: kindChoice, values: []string{"all", "keyframes", "stride", "interval", "timestamps", "indices"}, later: []string{"uniform", "scene", "best"}},
		{path: "sample.n", kind: kindInt, optional: true, selector: "sample.type", needs: []string{"stride"}},
		{path: "sample.interval", kind: kindDuration, optional: true, selector: "sample.type", needs: []string{"interval"}},
		{path: "sample.fps", kind: kindRate, optional: true, selector: "sample.type", needs: []string{"interval"}},
		{path: "sample.at", kind: kindTexts, optional: true, selector: "sample.type", needs: []string{"timestamps", "indices"}},
		{path: "sample.file", kind: kindText, optional: true, selector: "sample.type", needs: []string{"timestamps"}},
		{path: "sample.tolerance", kind: kindDuration, selector: "sample.type", needs: []string{"timestamps"}},
		{path: "sample.pick", kind: kindChoice, values: []string{"nearest", "shown"}, selector: "sample.type", needs: []string{"timestamps"}},
		{path: "sample.clock", kind: kindChoice, values: []string{"producer", "server"}},
		{path: "sample.threshold", kind: kindInt, unavailable: true},
		{path: "sample.min_gap", kind: kindDuration, unavailable: true},
		{path: "sample.window", kind: kindDuration, unavailable: true},

		{path: "filters.black", unavailable: true},
		{path: "filters.blur", unavailable: true},
		{path: "filters.duplicate", unavailable: true},

		{path: "resize.width", kind: kindInt},
		{path: "resize.height", kind: kindInt},
		{path: "resize.fit", kind: kindChoice, values: []string{"contain", "cover", "pad", "stretch"}},
		{path: "resize.upscale", kind: kindBool},
		{path: "resize.background", kind: kindColor, selector: "resize.fit", needs: []string{"pad"}},

		{path: "format", kind: kindChoice, values: []string{"jpeg", "png", "none"}, later: []string{"npy", "yuv4mpeg"}},
		{path: "quality", kind: kindInt, selector: "format", needs: []string{"jpeg"}},
		{path: "pixel_format", kind: kindChoice, values: []string{"rgb24", "bgr24", "gray", "nv12", "yuv420p"}, optional: true, selector: "type", needs: []string{"raw"}},
		{path: "exif", kind: kindBool, selector: "type", needs: []string{"image"}},
		{path: "fast", kind: kindBool, selector: "type", needs: []string{"image"}},
		{path: "layout", unavailable: true},
		{path: "normalize", unavailable: true},
		{path: "group.every", unavailable: true},
		{path: "group.count", unavailable: true},
		{path: "group.size", unavailable: true},
		{path: "columns", unavailable: true},
		{path: "path", kind: kindText},

		{path: "destination.type", kind: kindChoice, values: []string{"file", "s3"}, later: []string{"stdout", "exec"}},
		{path: "destination.directory", kind: kindText, selector: "destination.type", needs: []string{"file"}},
		{path: "destination.fsync", kind: kindBool, selector: "destination.type", needs: []string{"file"}},
		{path: "destination.bucket", kind: kindText, optional: true, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.prefix", kind: kindText, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.profile", unavailable: true, instead: useProfile},
		{path: "destination.role_arn", unavailable: true, instead: useProfile},
		{path: "destination.region", kind: kindText, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.endpoint_url", kind: kindText, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.force_path_style", kind: kindBool, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.checksum", kind: kindChoice, values: []string{"crc32", "none"}, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.storage_class", kind: kindText, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.server_side_encryption.type", kind: kindChoice, values: []string{"", "AES256", "aws:kms"}, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.server_side_encryption.kms_key_id", kind: kindText, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.metadata", kind: kindChoice, values: []string{"none", "kvs", "full"}, selector: "destination.type", needs: []string{"s3"}},
		{path: "destination.if_exists", kind: kindChoice, values: []string{"overwrite", "skip", "fail"}},
		{path: "destination.max_in_flight", kind: kindInt},
		{path: "destination.timeout", unavailable: true},
		{path: "destination.retry_for", unavailable: true},
		{path: "destination.tags", unavailable: true},
		{path: "destination.keep.age", unavailable: true},
		{path: "destination.keep.size", unavailable: true},
		{path: "destination.command", unavailable: true},
		{path: "destination.ack", unavailable: true},
		{path: "destination.restart", unavailable: true},

		{path: "manifest.format", kind: kindChoice, values: []string{"none", "jsonl"}, later: []string{"parquet"}},
		{path: "manifest.every", unavailable: true},
		{path: "manifest.path", kind: kindText},

		{path: "ledger.path", unavailable: true},
	})
)

// formats are the forms that each type of sink can write.
var formats = map[SinkType][]string{
	SinkImage: {"jpeg", "png"},
	SinkRaw:   {"none"},
}
