package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the import table of ARCHITECTURE.md: for each package what it may
// import beyond the standard library. An entry of this module is one package and
// stands without the module's path; any other entry is a module or a folder of
// one and stands for all below it. Tests are not held to it.
//
// A new package gets a line here and one in ARCHITECTURE.md.
var mayImport = map[string][]string{
	"media":         {},
	"internal/ebml": {},
	// What a nil logger means, and how to wait before trying again: in one place for all.
	"internal/logging": {},
	"internal/wait":    {},
	"internal/lag":     {},
	// Who calls AWS.
	"internal/awschain": {"github.com/aws"},
	// Files that appear whole, and the file system behind them, which tests replace.
	"internal/disk":          {"golang.org/x/sys"},
	"internal/disk/disktest": {"internal/disk"},
	"internal/lint":          {},
	// The header of NumPy's files.
	"internal/npy": {},
	// A child process that can only compute.
	"internal/sandbox": {"C", "golang.org/x/sys"},

	"setting":  {},
	"source":   {"media", "setting", "source/payload", "internal/lag", "internal/logging", "internal/wait"},
	"decode":   {"media", "setting", "decode/h26x", "decode/jpeg", "decode/measure", "decode/pick", "decode/plan", "internal/logging", "internal/npy", "internal/sandbox", "internal/wait", "C", "github.com/asticode/go-astiav"},
	"sink":     {"media", "setting", "internal/disk", "internal/logging", "internal/wait"},
	"pipeline": {"media", "internal/logging", "golang.org/x/sync"},

	"checkpoint":                {"internal/disk", "internal/logging", "internal/wait"},
	"checkpoint/checkpointtest": {"checkpoint"},

	"decode/h26x": {},
	"decode/pick": {"media", "setting", "decode/measure", "decode/plan"},
	"decode/plan": {"media", "setting", "decode/h26x", "internal/lag"},
	"decode/jpeg": {"C"},
	// Numbers of small luma pictures, for samplers and filters.
	"decode/measure": {"C"},

	"source/kvs":     {"media", "setting", "source", "source/payload", "internal/awschain", "internal/logging", "internal/wait", "github.com/aws"},
	"source/payload": {"media", "internal/ebml", "internal/logging"},
	"sink/s3":        {"media", "setting", "sink", "internal/awschain", "github.com/aws"},
	// Forms of groups, with what they ask of the decoder.
	"sink/webdataset": {"media", "setting", "sink", "decode"},
	"sink/batch":      {"media", "setting", "sink", "decode", "internal/npy"},
	"sink/sprite":     {"media", "setting", "sink", "decode"},
	"sink/parquet":    {"media", "setting", "sink", "decode", "manifest", "github.com/parquet-go/parquet-go"},

	// A pipe.
	"sink/stdout": {"media", "sink", "golang.org/x/sys"},

	"sink/storetest": {"sink"},
	"sink/sinktest":  {"media", "pipeline", "sink", "sink/storetest"},
	// What tests of decode and of the whole program compare with.
	"decode/decodetest": {"github.com/asticode/go-astiav"},

	"manifest": {"media", "setting", "sink", "internal/disk", "golang.org/x/sync", "github.com/parquet-go/parquet-go"},

	// Tables of the reference.
	"internal/reference": {},

	// The page of what runs have written.
	"view": {"manifest"},

	"config": {"setting", "source", "decode", "decode/pick", "decode/plan", "sink", "sink/s3", "sink/batch", "sink/parquet", "sink/sprite", "sink/stdout", "sink/webdataset", "github.com/spf13/viper", "github.com/goccy/go-yaml"},
	// The emulator, for tests of this module and of others, and for the emulate command.
	"kvstest":         {"media", "setting", "internal/logging", "source/payload", "internal/ebml", "github.com/aws"},
	"internal/s3test": {"github.com/aws"},
	// What tests count in stores: of its own, so that it believes nothing that the program does.
	"internal/audittest": {"github.com/parquet-go/parquet-go"},
	// Chance and its seeds.
	"internal/soaktest": {},
	// A log that is read while it is written.
	"internal/logtest": {},
	// Programs of others that read what was written.
	"internal/duckdbtest":   {},
	"internal/chromiumtest": {},

	// What makes the demo's recording.
	"internal/demo/recording": {"media", "source/payload", "kvstest"},

	// The comparison with other programs, the video it is made on, and what gives that the shape of a payload.
	"internal/bench":         {},
	"internal/bench/scene":   {},
	"internal/bench/payload": {"source/payload", "kvstest"},

	// The one place that puts concrete things together. What has an owner below stays with its owner here, too.
	".": {
		"media", "setting", "config", "checkpoint", "source", "source/kvs", "decode", "decode/pick", "decode/plan", "manifest", "sink", "sink/s3", "pipeline", "internal/logging", "internal/reference", "github.com/aws",
	},
	// Settings to start from.
	"examples": {},
	// What a program of somebody else would import.
	"examples/channel":      {"media", "source", "decode", "pipeline"},
	"examples/customsink":   {"media", "source/kvs", "decode", "decode/plan", "pipeline"},
	"examples/customsource": {"media", "source/payload", "decode", "decode/plan", "pipeline", "sink"},
	// Flags, output and exit codes.
	"cmd/kvsframes": {
		".", "media", "setting", "source", "source/kvs", "source/payload", "decode", "decode/plan", "manifest", "pipeline", "config", "examples", "kvstest", "view", "internal/disk", "internal/reference",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org",
	},
}

// owners names, for what must stay in its room, the only packages that may import it.
var owners = map[string][]string{
	"C":                                {"decode", "decode/jpeg", "decode/measure", "internal/sandbox"},
	"github.com/asticode/go-astiav":    {"decode", "decode/decodetest"},
	"github.com/spf13/viper":           {"config"},
	"github.com/parquet-go/parquet-go": {"manifest", "sink/parquet", "internal/audittest"},
	"github.com/spf13/cobra":           {"cmd/kvsframes"},
	awsServices + "kinesisvideo":       {"source/kvs"},
	awsServices + "s3":                 {"sink/s3"},
	awsServices + "sts":                {"internal/awschain"},
	awsFeatures + "s3/transfermanager": {"sink/s3"},
	awsFeatures + "s3/manager":         {"sink/s3"},
	module + "/kvstest":                {"cmd/kvsframes", "internal/demo/recording", "internal/bench/payload"},
	// Tests alone.
	module + "/internal/disk/disktest":    {},
	module + "/internal/s3test":           {},
	module + "/internal/audittest":        {},
	module + "/internal/soaktest":         {},
	module + "/internal/logtest":          {},
	module + "/internal/duckdbtest":       {},
	module + "/internal/chromiumtest":     {},
	module + "/sink/storetest":            {"sink/sinktest"},
	module + "/sink/sinktest":             {},
	module + "/checkpoint/checkpointtest": {},
}

const (
	awsServices = "github.com/aws/aws-sdk-go-v2/service/"
	awsFeatures = "github.com/aws/aws-sdk-go-v2/feature/"
)

// standard reports whether an import path is the standard library's: those have no
// dot in their first element.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return importPath != "C" && !strings.Contains(first, ".")
}

// within reports whether an import path is tree or lies below it. The video service
// has several modules whose names begin alike (kinesisvideoarchivedmedia).
func within(importPath, tree string) bool {
	rest, found := strings.CutPrefix(importPath, tree)
	return found && (rest == "" || rest[0] == '/' || strings.HasSuffix(tree, "kinesisvideo"))
}

// badImports tells which imports of a file the table does not allow.
func badImports(f goFile) []string {
	allowed, known := mayImport[f.dir()]
	if !known {
		return []string{fmt.Sprintf("%s: package %s is not in the import table: add it to internal/lint and to ARCHITECTURE.md", f.name, f.dir())}
	}
	var findings []string
	for _, spec := range f.ast.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return append(findings, fmt.Sprintf("%s: import %s: %v", f.name, spec.Path.Value, err))
		}
		at := fmt.Sprintf("%s:%d: %s", f.name, f.line(spec.Pos()), f.dir())
		for tree, only := range owners {
			if within(importPath, tree) && !slices.Contains(only, f.dir()) {
				findings = append(findings, fmt.Sprintf("%s imports %s, which only tests and %q may", at, importPath, only))
			}
		}
		if !standard(importPath) && !slices.ContainsFunc(allowed, func(entry string) bool { return allows(entry, importPath) }) {
			findings = append(findings, fmt.Sprintf("%s must not import %s", at, importPath))
		}
	}
	return findings
}

// allows reports whether one entry of the table covers an import path.
func allows(entry, importPath string) bool {
	if importPath == module {
		return entry == "."
	}
	if inner, found := strings.CutPrefix(importPath, module+"/"); found {
		return entry == inner
	}
	return within(importPath, entry)
}

func TestEveryPackageImportsOnlyWhatTheTableAllows(t *testing.T) {
	for _, f := range sourceFiles(t) {
		report(t, badImports(f))
	}
}

func TestTheImportTableHasNoPhantoms(t *testing.T) {
	packages := map[string]bool{}
	for _, f := range sourceFiles(t) {
		packages[f.dir()] = true
	}
	for name, imports := range mayImport {
		for _, p := range append([]string{name}, imports...) {
			if !strings.Contains(p, "github.com/") && !strings.HasPrefix(p, "golang.org") && p != "C" && !packages[p] {
				t.Errorf("the import table names %s, which is no package", p)
			}
		}
	}
}

func TestImportRule(t *testing.T) {
	const sdk = "github.com/aws/aws-sdk-go-v2"
	for _, tt := range []struct {
		name, file, imports string
		want                int // findings
	}{
		{"media may import the standard library", "media/m.go", `"encoding/json"`, 0},
		{"media must not import another package of ours", "media/m.go", `"` + module + `/source"`, 1},
		{"media must not import a module", "media/m.go", `"golang.org/x/sync/errgroup"`, 1},
		{"source may import media and the splitter", "source/s.go", `"` + module + `/media"; "` + module + `/source/payload"`, 0},
		{"source must not import ebml", "source/s.go", `"` + module + `/internal/ebml"`, 1},
		{"source must not import decode", "source/s.go", `"` + module + `/decode"`, 1},
		{"source must not import its own child", "source/s.go", `"` + module + `/source/kvs"`, 1},
		{"sink must not import source", "sink/s.go", `"` + module + `/source"`, 1},
		{"decode must not import sink", "decode/d.go", `"` + module + `/sink"`, 1},
		{"decode may import libav", "decode/d.go", `"C"; "github.com/asticode/go-astiav"`, 0},
		{"cmd must not import libav, twice said", "cmd/kvsframes/c.go", `"github.com/asticode/go-astiav"`, 2},
		{"nobody else may use cgo", "source/s.go", `"C"`, 2},
		{"pipeline may import errgroup", "pipeline/p.go", `"golang.org/x/sync/errgroup"`, 0},
		{"pipeline must not import a stage", "pipeline/p.go", `"` + module + `/sink"`, 1},
		{"pipeline must not import viper", "pipeline/p.go", `"github.com/spf13/viper"`, 2},
		{"pipeline must not import the AWS SDK", "pipeline/p.go", `"` + sdk + `/aws"`, 1},
		{"only config imports viper", "cmd/kvsframes/c.go", `"github.com/spf13/viper"`, 2},
		{"config must not import the pipeline", "config/c.go", `"` + module + `/pipeline"`, 1},
		{"config must not import cobra", "config/c.go", `"github.com/spf13/cobra"`, 2},
		{"source/kvs may import the video service", "source/kvs/k.go", `"` + sdk + `/service/kinesisvideo/types"; "` + sdk + `/service/kinesisvideoarchivedmedia"`, 0},
		{"the emulator must not import the video service", "kvstest/e.go", `"` + sdk + `/service/kinesisvideoarchivedmedia"`, 1},
		{"sink/s3 may import the object service", "sink/s3/s.go", `"` + sdk + `/service/s3"`, 0},
		{"the root package must not import the object service", "r.go", `s "` + sdk + `/service/s3/types"`, 1},
		{"source/kvs must not import the object service", "source/kvs/k.go", `"` + sdk + `/service/s3"`, 1},
		{"a service with a longer name is another service", "r.go", `"` + sdk + `/service/s3control"`, 0},
		{"the emulator is for cmd and tests alone", "config/c.go", `"` + module + `/kvstest"`, 2},
		{"cmd may import the emulator", "cmd/kvsframes/c.go", `"` + module + `/kvstest"`, 0},
		{"the S3 server is for tests alone", "sink/s3/s.go", `"` + module + `/internal/s3test"`, 2},
		{"the conformance suite is for tests alone", "sink/s.go", `"` + module + `/sink/storetest"`, 2},
		{"a package that is not in the table is reported", "util/u.go", `"fmt"`, 1},
		{"the root package may import what it puts together", "r.go", `"` + module + `/pipeline"; "` + module + `/source/kvs"`, 0},
		{"the root package must not import cobra", "r.go", `"github.com/spf13/cobra"`, 2},
		{"cmd may import the root package", "cmd/kvsframes/c.go", `"` + module + `"`, 0},
		{"nobody below may import the root package", "pipeline/p.go", `"` + module + `"`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.file, "package p\nimport ("+tt.imports+")")
			if got := badImports(f); len(got) != tt.want {
				t.Errorf("got %d findings, want %d: %q", len(got), tt.want, got)
			}
		})
	}
}
