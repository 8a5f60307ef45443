package config

import (
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// LagAction is what happens when a live stream is read too far behind its newest fragment.
type LagAction string

// The actions. LagKeyframes decodes key frames alone until half of the lag is made up; LagSkipToNow continues at the newest fragment.
const (
	LagNone      LagAction = "none"
	LagKeyframes LagAction = "keyframes"
	LagSkipToNow LagAction = "skip_to_now"
)

// Values returns the actions.
func (LagAction) Values() []string { return setting.Texts(LagNone, LagKeyframes, LagSkipToNow) }

// Lag is the `lag` part of pipeline.yaml.
type Lag struct {
	Max    time.Duration `key:"max,optional,required" with:"action=keyframes|skip_to_now" range:"0s.." doc:"How far behind its newest fragment a stream may be: the action follows when it has been further behind for a minute." example:"1m"`
	Action LagAction     `key:"action" doc:"What happens when a stream of source.mode live or auto is too far behind: keyframes decodes key frames alone until half is made up, skip_to_now continues at the newest fragment." example:"keyframes"`
}

// Limit returns how far behind a stream may be before an action follows; 0 is no limit.
func (l Lag) Limit(action LagAction) time.Duration {
	if l.Action != action {
		return 0
	}
	return l.Max
}
