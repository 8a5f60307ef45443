package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/internal/disk"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/setting"
)

// manifestFlags are the flags of the manifest command.
type manifestFlags struct {
	format string
	out    string
	server kvsframes.Server
}

func (p *program) newManifestCommand() *cobra.Command {
	flags := manifestFlags{}
	cmd := &cobra.Command{
		Use:   "manifest DIR|s3://BUCKET/PREFIX",
		Short: "Merges the manifest parts of runs into one file",
		Long: `Merges the manifest parts below a folder, or below a prefix of a bucket, into one
file: by stream, then by capture time. Memory stays the same for any number of
records; what does not fit is sorted in files in the temporary folder (TMPDIR).

  jsonl        the records as they are
  csv          a table for spreadsheets, pandas and FiftyOne (column filepath)
  parquet      a table for query engines such as DuckDB; without the images
  imagefolder  metadata.jsonl of a folder of images for Hugging Face: write it to
               DIR/metadata.jsonl
  sagemaker    an augmented manifest, for SageMaker and Ground Truth; from S3 only
  cvat         manifest.jsonl of a task or a cloud storage of CVAT

Lists are JSON in texts where a loader takes types from the first rows. The last
three forms leave out what is no JPEG or PNG file of its own.`,
		Args: checkArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&flags.format, "format", string(manifest.JSONL), strings.Join(manifest.Format("").Values(), ", "))
	f.StringVarP(&flags.out, "output", "o", "", "the file to write, whole or not at all; standard output without it")
	addServerFlags(cmd, &flags.server)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.runManifest(cmd.Context(), args[0], flags)
	}
	return cmd
}

// addServerFlags adds the flags that state where buckets are.
func addServerFlags(cmd *cobra.Command, s *kvsframes.Server) {
	f := cmd.Flags()
	f.StringVar(&s.Region, "region", "", "the bucket's region; the default is that of the AWS environment or profile")
	f.StringVar(&s.EndpointURL, "endpoint-url", "", "another server than Amazon's")
	f.BoolVar(&s.ForcePathStyle, "force-path-style", false, "put the bucket into the path of URLs")
}

func (p *program) runManifest(ctx context.Context, where string, flags manifestFlags) error {
	format := manifest.Format(flags.format)
	if err := setting.CheckValue(flags.format, format.Values(), nil); err != nil {
		return usage(fmt.Errorf("--format %w", err))
	}
	if format == manifest.SageMaker && !strings.HasPrefix(where, "s3://") {
		return usage(errors.New("--format sagemaker states where images are in S3: give s3://BUCKET/PREFIX"))
	}
	from, err := kvsframes.OpenObjects(ctx, where, flags.server)
	if err != nil {
		return err
	}
	o := manifest.Options{Format: format, Base: where}
	var counts manifest.Counts
	err = p.toFile(ctx, flags.out, func(to io.Writer) (err error) {
		if name, err := filepath.Rel(where, flags.out); err == nil && flags.out != "" {
			o.Except = filepath.ToSlash(name)
		}
		counts, err = manifest.Write(ctx, from, to, o)
		return err
	})
	if errors.Is(err, manifest.ErrNoParts) {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%d records of %d parts\n", counts.Records, counts.Parts)
	if counts.LeftOut > 0 {
		fmt.Fprintf(p.stderr, "left out %d records whose images are no JPEG or PNG files\n", counts.LeftOut)
	}
	return nil
}

// toFile has write make a file, which appears when it is whole; "" is standard output.
func (p *program) toFile(ctx context.Context, name string, write func(io.Writer) error) error {
	if name == "" {
		return write(p.stdout)
	}
	folder, err := disk.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	w, err := folder.Create(ctx, filepath.Base(name), disk.Options{Perm: 0o644})
	if err != nil {
		return err
	}
	err = write(writerFunc(func(b []byte) (int, error) { return len(b), w.Write(ctx, b) }))
	if err == nil {
		err = w.Commit(ctx)
	}
	return errors.Join(err, w.Abandon())
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
