// Package sink writes images to a destination under names that are pure functions of the frame, and
// records each one in a manifest once it is durable.
//
// [New] makes a [Sink] from a [Config] and a [Store]: a folder ([OpenDir]), memory ([NewMem]) or a bucket
// (package sink/s3). [Sink.NewWriter] gives the [Writer] of one stream, which a pipeline.Stream takes as
// one of its sinks. A program with a sink of another kind implements pipeline.Sink instead, or passes a
// function to pipeline.NewFuncSink; package sink/sinktest tests it.
//
// A destination of another kind is a Store: whole objects go through Put, and objects that are
// made piece by piece, of any size, through Create. Package sink/storetest tests it.
package sink
