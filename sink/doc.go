// Package sink writes images to a destination under keys that depend only on the frame, and records each
// image in a manifest once it is durable.
//
// [New] makes a [Sink] from a [Config] and a [Store]: a folder ([OpenDir]), memory ([NewMem]) or a bucket
// (package sink/s3). [Sink.NewWriter] returns the [Writer] of one stream, which is one of the sinks of a
// pipeline.Stream. A program with another kind of sink implements pipeline.Sink, or passes a function to
// pipeline.NewFuncSink; package sink/sinktest tests such a sink.
//
// Another kind of destination is a Store: Put writes whole objects, and Create objects of any size piece by
// piece. Package sink/storetest tests a Store.
package sink
