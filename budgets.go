package kvsframes

import "github.com/kvsframes/kvsframes/pipeline"

// budgets are the limits of what the streams of a run hold in memory, but for the decoders (decode.max_memory) and the
// reading ahead of archives (see kvs.Config). ARCHITECTURE.md has the table of all.
type budgets struct {
	// fragments is the number of fragments of one stream that are decoded or wait for a decoder, and fragmentBytes the
	// size of their media.
	fragments     int
	fragmentBytes int64
	// backlog is the size of the images of one stream that are made and not yet written.
	backlog int64
}

const (
	mib = 1 << 20

	leastFragmentBytes, workerFragmentBytes = 128 * mib, 8 * mib
	leastBacklog, workerBacklog             = 16 * mib, 4 * mib
	// A sink that takes one image at a time gets those of one fragment after the other, so that the other workers'
	// whole fragments wait meanwhile.
	orderedBacklog = 16 * mib
	// Of streams that share the program, each has one fragment that is decoded while one waits, and enough images to
	// keep the sinks busy.
	sharedFragments, sharedBacklog = 2, 4 * mib
)

// budgetsOf returns the limits of one stream. They grow with the workers that it may keep busy: shared reports whether there
// may be other streams, and ordered whether a sink takes one image at a time.
func budgetsOf(workers int, shared, ordered bool) budgets {
	if shared {
		return budgets{fragments: sharedFragments, fragmentBytes: leastFragmentBytes, backlog: sharedBacklog}
	}
	perWorker := int64(workerBacklog)
	if ordered {
		perWorker = orderedBacklog
	}
	return budgets{
		fragments:     workers + 1,
		fragmentBytes: max(leastFragmentBytes, int64(workers)*workerFragmentBytes),
		backlog:       max(leastBacklog, int64(workers)*perWorker),
	}
}

// limit sets the limits of a run of one stream.
func (b budgets) limit(o pipeline.Options) pipeline.Options {
	o.FragmentsInFlight, o.FragmentBytes, o.BacklogBytes = b.fragments, b.fragmentBytes, b.backlog
	return o
}
