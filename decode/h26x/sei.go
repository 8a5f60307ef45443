package h26x

// RecoveryFrames returns the recovery_frame_cnt of the recovery point in a SEI unit,
// or NoRecovery (ITU-T H.264, 7.3.2.3 and D.1.8).
func RecoveryFrames(nal []byte) int {
	const recoveryPoint = 6
	// Long messages may precede a recovery point, so the whole unit is unescaped.
	rest := Unescape(nal[1:], len(nal))
	for len(rest) > 1 { // the last byte holds the stop bit
		kind, after, ok1 := seiNumber(rest)
		size, after, ok2 := seiNumber(after)
		if !ok1 || !ok2 || size > len(after) {
			return NoRecovery
		}
		if kind == recoveryPoint {
			b := BitReader{data: after[:size]}
			if n := b.UE(); !b.short {
				return int(n)
			}
			return NoRecovery
		}
		rest = after[size:]
	}
	return NoRecovery
}

// seiNumber reads the type or the size of a SEI message (ITU-T H.264, 7.3.2.3.1).
func seiNumber(data []byte) (n int, rest []byte, ok bool) {
	for i, v := range data {
		if n += int(v); v != 0xff {
			return n, data[i+1:], true
		}
	}
	return 0, nil, false
}

// NoRecovery is the recovery count of a picture without a recovery point.
const NoRecovery = -1
