package config

import (
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/batch"
	"github.com/kvsframes/kvsframes/sink/parquet"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/sink/sprite"
	"github.com/kvsframes/kvsframes/sink/stdout"
	"github.com/kvsframes/kvsframes/sink/webdataset"
	"github.com/kvsframes/kvsframes/source"
)

// BuiltIn returns the types of source, sampler, sink and destination that this program has, with the defaults
// of their keys. A program with further types adds them with setting.Add and passes them to Load.
func BuiltIn() setting.Variants {
	v := setting.Variants{}

	setting.Add[source.Origin](v, "kvs", source.DefaultKVSConfig())
	setting.Add[source.Origin](v, "file", source.FileConfig{})

	setting.Add[plan.Rule](v, "all", plan.All{})
	setting.Add[plan.Rule](v, "keyframes", plan.Keyframes{})
	setting.Add[plan.Rule](v, "stride", plan.Stride{})
	setting.Add[plan.Rule](v, "interval", plan.DefaultInterval())
	setting.Add[plan.Rule](v, "timestamps", plan.DefaultTimestamps())
	setting.Add[plan.Rule](v, "indices", plan.Indices{})
	setting.Add[plan.Rule](v, "uniform", plan.DefaultUniform())
	setting.Add[plan.Rule](v, "scene", plan.DefaultScene())
	setting.Add[plan.Rule](v, "best", plan.DefaultBest())

	setting.Add[decode.Form](v, "image", decode.DefaultImageForm())
	setting.Add[decode.Form](v, "raw", decode.DefaultRawForm())
	setting.Add[decode.Form](v, "webdataset", webdataset.DefaultForm())
	setting.Add[decode.Form](v, "batch", batch.DefaultForm())
	setting.Add[decode.Form](v, "parquet", parquet.DefaultForm())
	setting.Add[decode.Form](v, "sprite", sprite.DefaultForm())

	setting.Add[sink.Location](v, "file", sink.DefaultDirectory())
	setting.Add[sink.Location](v, "s3", s3.DefaultConfig())
	setting.Add[sink.Location](v, "stdout", stdout.Config{})
	setting.Reserve[sink.Location](v, "exec")

	return v
}
