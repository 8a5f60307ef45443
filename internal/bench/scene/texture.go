package main

import "math"

// random is a pseudo-random generator with the same numbers on every machine (SplitMix64).
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between returns a number from low to high.
func (r *random) between(low, high float64) float64 {
	return low + (high-low)*float64(r.next()>>11)/(1<<53)
}

// texture returns a surface around a brightness: clouds of every size, the smaller the fainter as in nature,
// with hard edges where a second set of clouds crosses a few levels. contrast scales the variation; above the
// horizon, in pixels from the top, is a sky with little variation.
func texture(r *random, width, height int, brightness, contrast float64, horizon int) [3]plane {
	luma := clouds(r, width, height, 2, 256)
	edges := clouds(r, width, height, 16, 128)
	cb, cr := clouds(r, width/2, height/2, 32, 256), clouds(r, width/2, height/2, 32, 256)
	out := [3]plane{newPlane(width, height), newPlane(width/2, height/2), newPlane(width/2, height/2)}
	for i := range out[0].pix {
		if float64(i/width) < float64(horizon)*(1+0.3*edges[i%width]) {
			out[0].pix[i] = level(brightness+45+contrast*luma[i]*7, 235)
			continue
		}
		out[0].pix[i] = level(brightness+contrast*(luma[i]*34+math.Floor(edges[i]*5)*9), 235)
	}
	for i := range out[1].pix {
		out[1].pix[i] = level(128+contrast*cb[i]*22, 240)
		out[2].pix[i] = level(128+contrast*cr[i]*22, 240)
	}
	return out
}

func level(v, highest float64) byte { return byte(min(highest, max(16, v))) }

// clouds sums noise of the cell sizes from largest down to smallest, in pixels. Most values are between -1 and 1.
func clouds(r *random, width, height, smallest, largest int) []float64 {
	sum := make([]float64, width*height)
	for cell := largest; cell >= smallest; cell /= 2 {
		weight := math.Pow(float64(cell)/float64(largest), 0.85)
		columns := width/cell + 2
		grid := make([]float64, columns*(height/cell+2))
		for i := range grid {
			grid[i] = r.between(-weight, weight)
		}
		for y := range height {
			gy, fy := y/cell, smooth(float64(y%cell)/float64(cell))
			upper, lower := grid[gy*columns:][:columns], grid[(gy+1)*columns:][:columns]
			row := sum[y*width:][:width]
			for x := range row {
				gx, fx := x/cell, smooth(float64(x%cell)/float64(cell))
				a := upper[gx] + (upper[gx+1]-upper[gx])*fx
				b := lower[gx] + (lower[gx+1]-lower[gx])*fx
				row[x] += a + (b-a)*fy
			}
		}
	}
	return sum
}

// smooth maps 0..1 to 0..1 with zero slope at both ends.
func smooth(f float64) float64 { return f * f * (3 - 2*f) }
