#include "measure.h"

#include <string.h>

/* The width of edges, after Marziliano, Dufaux, Winkler and Ebrahimi, "A no-reference perceptual blur metric" (ICIP 2002), on
 * edges that are found as Canny's detector does: smoothed, thinned along the gradient, and kept by two thresholds. */
enum {
	LOW = 15,    /* of a gradient beside one that is higher than HIGH */
	HIGH = 30,   /* of a gradient that makes an edge by itself */
	RADIUS = 50, /* how far the end of an edge is looked for, in steps */
};

/* The direction of a gradient, rounded to 45 degrees: from left to right, but for ALONG_Y, which is downward. STRONG marks one above HIGH. */
enum { NONE, ALONG_X, ALONG_Y, UPWARD, DOWNWARD, STRONG = 8 };

/* All loops are over rows of s bytes, the width w or h rounded up to whole vectors: what is left of a row would take as long as the rest of it.
 * What they compute beyond w is of no edge. They read one pixel beyond both ends of a row, and memory has MARGIN bytes on both sides. */
enum { VECTOR = 64, MARGIN = 64 };

INLINE int whole(int w) { return (w + VECTOR - 1) & -VECTOR; }

/* smooth applies the 5x5 Gaussian mask of Canny's detector. Two pixels at each side stay as they are. The mask's columns are
 * summed up first: its outer ones are 2, 4, 5, 4, 2, the next 4, 9, 12, 9, 4, and the middle one 5, 12, 15, 12, 5. A sum is less than 1 << 16, and
 * its division by 159 is exact. Levels with a sign are easier to compare. */
INLINE void smooth(int8_t *restrict to, const uint8_t *restrict p, int w, int s, int h, uint16_t *restrict outer, uint16_t *restrict inner, uint16_t *restrict middle)
{
	for (ptrdiff_t y = 0; y < h; y++, to += s, p += w) {
		if (y >= 2 && y < h - 2) {
			for (int x = 0; x < w; x++) {
				const uint16_t a = p[x - 2 * w] + p[x + 2 * w], b = p[x - w] + p[x + w], c = p[x];
				const uint16_t d = b + c, t = a + 2 * d, o = 2 * t + c, i = 2 * o + b + 2 * c;
				outer[x] = o;
				inner[x] = i;
				middle[x] = i + t + d;
			}
			for (int x = 0; x < s; x++) {
				const uint16_t sum = outer[x - 2] + outer[x + 2] + inner[x - 1] + inner[x + 1] + middle[x];
				to[x] = ((uint16_t)(((uint32_t)sum * 52759) >> 16) >> 7) - 128;
			}
			for (int x = 0; x < 2 && x < w; x++) {
				to[x] = p[x] - 128;
				to[w - 1 - x] = p[w - 1 - x] - 128;
			}
		} else {
			for (int x = 0; x < w; x++)
				to[x] = p[x] - 128;
		}
	}
}

/* gradients applies Sobel's operator to a row, between those above and below. At the sides there is none. The tangents of 22.5 and 67.5 degrees,
 * between which a gradient is diagonal, are t and t + 2, with t in 16 bits. */
INLINE void gradients(int16_t *restrict size, int16_t *restrict direction, const int8_t *row, int16_t *restrict sums, int16_t *restrict changes, int w, int s)
{
	const int8_t *a = row - s, *b = row, *c = row + s;
	for (int x = 0; x < s; x++) {
		sums[x] = a[x] + c[x] + 2 * b[x];
		changes[x] = c[x] - a[x];
	}
	for (int x = 0; x < s; x++) {
		const int16_t gx = sums[x + 1] - sums[x - 1], gy = changes[x - 1] + 2 * changes[x] + changes[x + 1];
		const int16_t ax = gx < 0 ? -gx : gx, ay = gy < 0 ? -gy : gy, t = (uint16_t)(((uint32_t)(uint16_t)ax * 27146) >> 16);
		const int16_t diagonal = (int16_t)(gx ^ gy) < 0 ? UPWARD : DOWNWARD, steep = (int16_t)(ay - 2 * ax) > t ? ALONG_Y : diagonal;
		size[x] = ax + ay;
		direction[x] = ay <= t ? ALONG_X : steep;
	}
	size[0] = 0;
	memset(size + w - 1, 0, (s - w + 1) * sizeof(*size));
}

INLINE int16_t larger(int16_t a, int16_t b) { return a > b ? a : b; }

/* either returns a if all bits of yes are set, and b if none is. GCC 12 fails to compile the same with conditions for AVX-512. */
INLINE int16_t either(int16_t yes, int16_t a, int16_t b) { return (a & yes) | (b & ~yes); }

/* peaks marks the pixels of a row whose gradient is above LOW, and larger than those beside it in its direction, with that direction. */
INLINE void peaks(uint8_t *restrict to, const int16_t *up, const int16_t *at, const int16_t *down, const int16_t *direction, int s)
{
	for (int x = 0; x < s; x++) {
		const int16_t flat = larger(at[x - 1], at[x + 1]), steep = larger(up[x], down[x]);
		const int16_t upward = larger(up[x + 1], down[x - 1]), downward = larger(up[x - 1], down[x + 1]);
		const int16_t d = direction[x];
		const int16_t straight = either(-(d == ALONG_X), flat, steep), diagonal = either(-(d == UPWARD), upward, downward);
		const int16_t beside = larger(either(-(d <= ALONG_Y), straight, diagonal), LOW), strong = at[x] > HIGH ? STRONG : 0;
		to[x] = at[x] > beside ? d | strong : 0;
	}
}

/* edges keeps the peaks of a row that are strong, and those beside one. */
INLINE void edges(uint8_t *restrict to, const uint8_t *up, const uint8_t *at, const uint8_t *down, int s)
{
	for (int x = 0; x < s; x++) {
		const uint8_t any = up[x - 1] | up[x] | up[x + 1] | at[x - 1] | at[x] | at[x + 1] | down[x - 1] | down[x] | down[x + 1];
		to[x] = at[x] & (any >= STRONG ? STRONG - 1 : 0);
	}
}

enum { RING = 4 }; /* rows of gradients and peaks that are kept: so they stay in the first cache */

/* find finds the edges of a smoothed picture. Of rings there are RING rows each. */
INLINE void find(uint8_t *restrict edge, const int8_t *smoothed, int w, int s, int h, int16_t *sizes, int16_t *directions, uint8_t *marks, int16_t *sums, int16_t *changes)
{
#define SIZE(y) (sizes + (y) % RING * s)
#define DIRECTION(y) (directions + (y) % RING * s)
#define MARKS(y) (marks + (y) % RING * s)
	memset(SIZE(0), 0, 2 * s);
	memset(MARKS(0), 0, s);
	for (int y = 1; y <= h; y++) {
		if (y < h - 1)
			gradients(SIZE(y), DIRECTION(y), smoothed + (ptrdiff_t)y * s, sums, changes, w, s);
		else
			memset(SIZE(y), 0, 2 * s);
		if (y == h)
			memset(MARKS(y - 1), 0, s);
		else if (y > 1)
			peaks(MARKS(y - 1), SIZE(y - 2), SIZE(y - 1), SIZE(y), DIRECTION(y - 1), s);
		if (y > 2)
			edges(edge + (ptrdiff_t)(y - 2) * s, MARKS(y - 3), MARKS(y - 2), MARKS(y - 1), s);
	}
#undef SIZE
#undef DIRECTION
#undef MARKS
}

INLINE int8_t lesser(int8_t a, int8_t b) { return a < b ? a : b; }
INLINE int8_t greater(int8_t a, int8_t b) { return a > b ? a : b; }

/* Slopes are measured for all pixels at once, since in a busy picture a quarter of them are edges. The run of a pixel in some direction
 * is how many steps the levels rise from there on or, negative, fall: one more than the run of the next pixel, if that goes on alike. */
INLINE int8_t run(int8_t here, int8_t next, int8_t run_of_next)
{
	const int8_t rising = lesser(greater(run_of_next, 0), RADIUS - 1) + 1, falling = greater(lesser(run_of_next, 0), 1 - RADIUS) - 1;
	return (rising & -(next > here)) | (falling & -(next < here));
}

/* runs computes a row of runs towards the row above or below, in which the next pixels may be those one column beside. */
INLINE void runs(int8_t *restrict to, const int8_t *here, const int8_t *next, const int8_t *runs_of_next, int w, int s)
{
	for (int x = 0; x < s; x++)
		to[x] = run(here[x], next[x], runs_of_next[x]);
	to[0] = to[w - 1] = 0;
}

/* room caps a number of steps to the side of the picture, which does not matter beyond RADIUS. */
INLINE int8_t room(int steps) { return steps < RADIUS ? steps : RADIUS + 1; }

/* choose returns a if all bits of yes are set, and b if none is. The compiler does not make vectors of the same with branches. */
INLINE int8_t choose(int8_t yes, int8_t a, int8_t b) { return (a & yes) | (b & ~yes); }

/* width returns the steps from the lower end of an edge's slope to the upper one, of the runs to both sides. It is 0 for a slope that goes on
 * to the side of the picture, which is most_before and most_after steps away. */
INLINE uint8_t width(int8_t before, int8_t most_before, int8_t after, int8_t most_after)
{
	/* The pixels before fall and those after rise, or the other way round. */
	const int8_t falls = -(before < 0), back = choose(falls, -before, before), forth = choose(falls, after, -after), on = forth & -(forth > 0);
	const int8_t outside = -(back == most_before) | -(on == most_after);
	return (back + on) & ~outside;
}

/* Sums of widths, and counts of those that are not 0, of each column of some rows. A width has up to 2 * RADIUS steps, so the sums of two rows are
 * bytes, and the counts of many more. */
typedef struct {
	uint8_t *all, *diagonal, *count;
} widths;

/* add adds those of row y, the last or not, to the result. */
INLINE void add(kvsf_edges *out, const widths *of, int s, int y, int last)
{
	if (y % 2 == 0 || last) {
		const uint64_t diagonal = total(of->diagonal, s);
		out->diagonal += diagonal;
		out->straight += total(of->all, s) - diagonal;
		memset(of->all, 0, s);
		memset(of->diagonal, 0, s);
	}
	if (y % 128 == 0 || last) {
		out->count += total(of->count, s);
		memset(of->count, 0, s);
	}
}

/* along_edges keeps of the runs of a row to the rows below the one along each pixel's edge: memory that is written for each picture is no longer in the
 * caches. */
INLINE void along_edges(int8_t *restrict below, const uint8_t *edge, const int8_t *down, const int8_t *down_left, const int8_t *down_right, int s)
{
	for (int x = 0; x < s; x++) {
		const int8_t e = edge[x], y = -(e == ALONG_Y), u = -(e == UPWARD), d = -(e == DOWNWARD);
		below[x] = (down[x] & y) | (down_left[x] & u) | (down_right[x] & d);
	}
}

/* The runs of a row to rows above, and that of each edge to rows below, and how much room there is to the left and right, above and below. */
typedef struct {
	const int8_t *up, *up_left, *up_right, *down, *left, *right;
	int8_t above, below;
} slopes;

/* across adds the widths of the edges of a row whose slopes go to rows above and below. */
INLINE void across(uint8_t *restrict all, uint8_t *restrict diagonal, uint8_t *restrict count, const uint8_t *edge, const slopes *of, int s)
{
	const int8_t *up = of->up, *down = of->down, *up_left = of->up_left, *up_right = of->up_right, *lefts = of->left, *rights = of->right,
		     above = of->above, below = of->below;
	for (int x = 0; x < s; x++) {
		const int8_t e = edge[x], left = lefts[x], right = rights[x], y = -(e == ALONG_Y), u = -(e == UPWARD), d = -(e == DOWNWARD);
		const int8_t before = (up[x] & y) | (down[x] & u) | (up_left[x] & d), after = (up_right[x] & u) | (down[x] & ~u);
		const int8_t most_before = choose(y, above, lesser(left, choose(u, below, above))), most_after = choose(y, below, lesser(right, choose(u, above, below)));
		const uint8_t steps = width(before, most_before, after, most_after);
		all[x] += steps;
		diagonal[x] += steps & ~y;
		count[x] += steps > 0;
	}
}

/* along adds those of the other edges, in a row of the turned picture. */
INLINE void along(uint8_t *restrict all, uint8_t *restrict count, const uint8_t *edge, const int8_t *up, const int8_t *down, int8_t above, int8_t below, int s)
{
	for (int x = 0; x < s; x++) {
		const int8_t yes = -(edge[x] == ALONG_X);
		const uint8_t steps = width(up[x] & yes, above, down[x] & yes, below);
		all[x] += steps;
		count[x] += steps > 0;
	}
}

enum { BLOCK = 16 };

typedef uint8_t lane __attribute__((vector_size(BLOCK)));

/* interleave takes the bytes of rows of the upper and of the lower half of a block by turns. */
INLINE void interleave(lane *to, const lane *from)
{
	for (int i = 0; i < BLOCK / 2; i++) {
		const lane a = from[i], b = from[i + BLOCK / 2];
		to[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
		to[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
	}
}

/* turn makes rows of t bytes of the columns of rows of s bytes. Interleaving a block four times exchanges its rows and columns. */
INLINE void turn(void *restrict to, const void *restrict from, int s, int t)
{
	for (ptrdiff_t y = 0; y < t; y += BLOCK)
		for (ptrdiff_t x = 0; x < s; x += BLOCK) {
			lane a[BLOCK], b[BLOCK];
			for (int i = 0; i < BLOCK; i++)
				memcpy(&a[i], (const uint8_t *)from + (y + i) * s + x, BLOCK);
			interleave(b, a);
			interleave(a, b);
			interleave(b, a);
			interleave(a, b);
			for (int i = 0; i < BLOCK; i++)
				memcpy((uint8_t *)to + (x + i) * t + y, &a[i], BLOCK);
		}
}

/* take takes memory for n bytes, and a margin behind it. */
INLINE void *take(uint8_t **from, size_t n)
{
	uint8_t *const p = *from;
	*from += (n + 2 * MARGIN - 1) & -MARGIN;
	return p;
}

size_t kvsf_blur_scratch(int w, int h)
{
	const size_t s = whole(w), t = whole(h);
	return 4 * s * t + 38 * s + 9 * t + 20 * 2 * MARGIN;
}

INLINE void blur_body(const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out)
{
	*out = (kvsf_edges){0};
	if (w < 3 || h < 3)
		return;
	const int s = whole(w), t = whole(h), most = s > t ? s : t;
	const ptrdiff_t n = (ptrdiff_t)s * t, end = (ptrdiff_t)(h - 1) * s;
	uint8_t *from = (uint8_t *)(((uintptr_t)scratch + 2 * MARGIN - 1) & -MARGIN);
	int8_t *const level = take(&from, n), *const down = take(&from, n), *const turned = take(&from, n);
	uint8_t *const edge = take(&from, n), *const marks = take(&from, RING * s);
	int16_t *const sizes = take(&from, 2 * RING * s), *const directions = take(&from, 2 * RING * s);
	uint16_t *const outer = take(&from, 2 * s), *const inner = take(&from, 2 * s), *const middle = take(&from, 2 * s);
	int8_t *const left = take(&from, s), *const right = take(&from, s), *const last_rows = take(&from, 6 * most);
	const widths sums = {take(&from, most), take(&from, most), take(&from, most)};
	memset(sums.all, 0, most);
	memset(sums.diagonal, 0, most);
	memset(sums.count, 0, most);
	for (int x = 0; x < w; x++) {
		left[x] = room(x);
		right[x] = room(w - 1 - x);
	}

	smooth(level, p, w, s, h, outer, inner, middle);
	find(edge, level, w, s, h, sizes, directions, marks, (int16_t *)outer, (int16_t *)inner);
	memset(edge, 0, s);
	memset(edge + end, 0, n - end);

	/* From the bottom to the top, the runs to rows below: of two rows by turns. */
	memset(last_rows, 0, 6 * most);
	for (int y = h - 2; y > 0; y--) {
		const ptrdiff_t i = (ptrdiff_t)y * s;
		int8_t *const straight = last_rows + y % 2 * 3 * s, *const left_down = straight + s, *const right_down = left_down + s;
		const int8_t *const last = last_rows + (y + 1) % 2 * 3 * s;
		runs(straight, level + i, level + i + s, last, w, s);
		runs(left_down, level + i, level + i + s - 1, last + s - 1, w, s);
		runs(right_down, level + i, level + i + s + 1, last + 2 * s + 1, w, s);
		along_edges(down + i, edge + i, straight, left_down, right_down, s);
	}

	/* From the top to the bottom, those to rows above. */
	memset(last_rows, 0, 6 * most);
	for (int y = 1; y < h - 1; y++) {
		const ptrdiff_t i = (ptrdiff_t)y * s;
		int8_t *const up = last_rows + y % 2 * 3 * s, *const up_left = up + s, *const up_right = up_left + s;
		const int8_t *const last = last_rows + (y + 1) % 2 * 3 * s;
		runs(up, level + i, level + i - s, last, w, s);
		runs(up_left, level + i, level + i - s - 1, last + s - 1, w, s);
		runs(up_right, level + i, level + i - s + 1, last + 2 * s + 1, w, s);
		const slopes of = {up, up_left, up_right, down + i, left, right, room(y), room(h - 1 - y)};
		across(sums.all, sums.diagonal, sums.count, edge + i, &of, s);
		add(out, &sums, s, y, y == h - 2);
	}

	/* Along rows is from the top to the bottom of the turned picture. */
	uint8_t *const turned_edge = (uint8_t *)level;
	turn(turned, level, s, t);
	turn(turned_edge, edge, s, t);
	memset(down + (ptrdiff_t)(w - 1) * t, 0, t);
	for (ptrdiff_t i = (ptrdiff_t)(w - 2) * t; i >= t; i -= t)
		runs(down + i, turned + i, turned + i + t, down + i + t, h, t);
	memset(last_rows, 0, 2 * t);
	for (int x = 1; x < w - 1; x++) {
		const ptrdiff_t i = (ptrdiff_t)x * t;
		int8_t *const up = last_rows + x % 2 * t;
		runs(up, turned + i, turned + i - t, last_rows + (x + 1) % 2 * t, h, t);
		along(sums.all, sums.count, turned_edge + i, up, down + i, room(x), room(w - 1 - x), t);
		add(out, &sums, t, x, x == w - 2);
	}
}

#define kvsf_blur_body blur_body
KERNEL(void, kvsf_blur, (const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out), (p, w, h, scratch, out))
