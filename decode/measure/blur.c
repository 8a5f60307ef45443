#include "measure.h"

#include <string.h>

/* The width of edges, after Marziliano, Dufaux, Winkler and Ebrahimi, "A no-reference perceptual blur metric" (ICIP 2002), on
 * edges that are found as Canny's detector does: smoothed, thinned along the gradient, and kept by two thresholds. */
enum {
	LOW = 15,    /* of a gradient beside one that is higher than HIGH */
	HIGH = 30,   /* of a gradient that makes an edge by itself */
	RADIUS = 50, /* how far the end of an edge is looked for, in steps */
};

/* The direction of a gradient, rounded to 45 degrees: from left to right, but for ALONG_Y, which is downward. */
enum { NONE, ALONG_X, ALONG_Y, UPWARD, DOWNWARD };

/* smooth applies the 5x5 Gaussian mask of Canny's detector. Two pixels at each side stay as they are. The mask's columns are
 * summed up first. A sum is less than 1 << 16, and its division by 159 is exact. */
INLINE void smooth(uint8_t *restrict to, const uint8_t *restrict p, int w, int h, uint16_t *restrict outer, uint16_t *restrict inner, uint16_t *restrict middle)
{
	memcpy(to, p, (size_t)w * h);
	for (ptrdiff_t y = 2; y < h - 2; y++) {
		const uint8_t *at = p + y * w;
		for (int x = 0; x < w; x++) {
			const uint16_t a = at[x - 2 * w] + at[x + 2 * w], b = at[x - w] + at[x + w], c = at[x];
			outer[x] = 2 * a + 4 * b + 5 * c;
			inner[x] = 4 * a + 9 * b + 12 * c;
			middle[x] = 5 * a + 12 * b + 15 * c;
		}
		uint8_t *restrict row = to + y * w;
		for (int x = 2; x < w - 2; x++) {
			const uint16_t sum = outer[x - 2] + outer[x + 2] + inner[x - 1] + inner[x + 1] + middle[x];
			row[x] = (uint16_t)(((uint32_t)sum * 52759) >> 16) >> 7;
		}
	}
}

/* gradients applies Sobel's operator to a row, between those above and below. At the sides there is none. The tangents of 22.5 and 67.5 degrees,
 * between which a gradient is diagonal, are t and t + 2, with t in 16 bits. */
INLINE void gradients(uint16_t *restrict size, uint16_t *restrict direction, const uint8_t *row, int w)
{
	const uint8_t *a = row - w, *b = row, *c = row + w;
	size[0] = size[w - 1] = 0;
	for (int x = 1; x < w - 1; x++) {
		const int16_t gx = a[x + 1] - a[x - 1] + 2 * (b[x + 1] - b[x - 1]) + c[x + 1] - c[x - 1];
		const int16_t gy = c[x - 1] - a[x - 1] + 2 * (c[x] - a[x]) + c[x + 1] - a[x + 1];
		const int16_t ax = gx < 0 ? -gx : gx, ay = gy < 0 ? -gy : gy, t = (uint16_t)(((uint32_t)(uint16_t)ax * 27146) >> 16);
		const uint16_t diagonal = (int16_t)(gx ^ gy) < 0 ? UPWARD : DOWNWARD, steep = (int16_t)(ay - 2 * ax) > t ? ALONG_Y : diagonal;
		size[x] = ax + ay;
		direction[x] = ay <= t ? ALONG_X : steep;
	}
}

INLINE uint16_t larger(uint16_t a, uint16_t b) { return a > b ? a : b; }

/* peaks marks the pixels of a row whose gradient is larger than those beside it in its direction: by 2 above HIGH, by 1 above LOW. */
INLINE void peaks(uint8_t *restrict to, const uint16_t *up, const uint16_t *at, const uint16_t *down, const uint16_t *direction, int w)
{
	to[0] = to[w - 1] = 0;
	for (int x = 1; x < w - 1; x++) {
		const uint16_t flat = larger(at[x - 1], at[x + 1]), steep = larger(up[x], down[x]);
		const uint16_t upward = larger(up[x + 1], down[x - 1]), downward = larger(up[x - 1], down[x + 1]);
		const uint16_t straight = direction[x] == ALONG_X ? flat : steep, diagonal = direction[x] == UPWARD ? upward : downward;
		const uint16_t beside = direction[x] <= ALONG_Y ? straight : diagonal, high = at[x] > HIGH, low = at[x] > LOW, peak = at[x] > beside;
		to[x] = (high + low) & -peak;
	}
}

/* edges keeps the peaks of a row that are above HIGH, and those beside one, and gives them their direction. */
INLINE void edges(uint8_t *restrict to, const uint8_t *up, const uint8_t *at, const uint8_t *down, const uint16_t *direction, int w)
{
	for (int x = 1; x < w - 1; x++) {
		const uint8_t any = up[x - 1] | up[x] | up[x + 1] | at[x - 1] | at[x] | at[x + 1] | down[x - 1] | down[x] | down[x + 1];
		const uint8_t angle = direction[x], kept = (any > 1) & (at[x] > 0);
		to[x] = kept ? angle : NONE;
	}
}

enum { RING = 4 }; /* rows of gradients and peaks that are kept: so they stay in the first cache */

/* find finds the edges of a smoothed picture. Of rings there are RING rows each. */
INLINE void find(uint8_t *restrict edge, const uint8_t *smoothed, int w, int h, uint16_t *sizes, uint16_t *directions, uint8_t *marks)
{
#define SIZE(y) (sizes + (y) % RING * w)
#define DIRECTION(y) (directions + (y) % RING * w)
#define MARKS(y) (marks + (y) % RING * w)
	memset(SIZE(0), 0, 2 * w);
	memset(MARKS(0), 0, w);
	for (int y = 1; y <= h; y++) {
		if (y < h - 1)
			gradients(SIZE(y), DIRECTION(y), smoothed + (ptrdiff_t)y * w, w);
		else
			memset(SIZE(y), 0, 2 * w);
		if (y == h)
			memset(MARKS(y - 1), 0, w);
		else if (y > 1)
			peaks(MARKS(y - 1), SIZE(y - 2), SIZE(y - 1), SIZE(y), DIRECTION(y - 1), w);
		if (y > 2)
			edges(edge + (ptrdiff_t)(y - 2) * w, MARKS(y - 3), MARKS(y - 2), MARKS(y - 1), DIRECTION(y - 2), w);
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
INLINE void runs(int8_t *restrict to, const int8_t *here, const int8_t *next, const int8_t *runs_of_next, int w)
{
	to[0] = to[w - 1] = 0;
	for (int x = 1; x < w - 1; x++)
		to[x] = run(here[x], next[x], runs_of_next[x]);
}

/* join makes runs of up to 2 * length steps of those of up to length. */
INLINE void join(int8_t *restrict to, const int8_t *restrict from, int n, int length, int forward)
{
	const int8_t *further = forward ? from + length : from - length;
	const int8_t rising = length, falling = -length;
	for (int i = 0; i < n; i++) {
		const int8_t a = from[i], b = further[i];
		to[i] = a + (greater(b, 0) & -(a == rising)) + (lesser(b, 0) & -(a == falling));
	}
}

enum {
	MARGIN = 64, /* zeros beside runs: as many as the last join looks ahead, or more */
	BAND = 16,   /* rows whose runs are joined at a time: with one, a row would be read before the processor has written it */
};

/* runs_along computes runs along some rows. Both bands have margins. */
INLINE void runs_along(int8_t *restrict to, int8_t *restrict spare, const int8_t *level, int w, int rows, int forward)
{
	const int n = w * rows;
	const int8_t *next = forward ? level + 1 : level - 1;
	for (int i = 0; i < n; i++)
		to[i] = (next[i] > level[i]) - (next[i] < level[i]);
	for (int y = 0; y < rows; y++)
		to[y * w] = to[y * w + w - 1] = 0;
	memset(to + n, 0, MARGIN);
	memset(spare + n, 0, MARGIN);
	for (int length = 1; length < RADIUS; length *= 4) {
		join(spare, to, n, length, forward);
		join(to, spare, n, 2 * length, forward);
	}
	for (int i = 0; i < n; i++)
		to[i] = greater(lesser(to[i], RADIUS), -RADIUS);
}

/* room caps a number of steps to the side of the picture, which does not matter beyond RADIUS. */
INLINE int8_t room(int steps) { return steps < RADIUS ? steps : RADIUS + 1; }

/* choose returns a if all bits of yes are set, and b if none is. The compiler does not make vectors of the same with branches. */
INLINE int8_t choose(int8_t yes, int8_t a, int8_t b) { return (a & yes) | (b & ~yes); }

/* Of a row: in which direction its edges are, the runs to all sides, and how much room there is to the left and right, above and below. */
typedef struct {
	const uint8_t *edge;
	const int8_t *to_left, *to_right, *up, *down, *up_left, *up_right, *down_left, *down_right, *left, *right;
	int8_t above, below;
} slopes;

/* measure computes the steps from the lower end of an edge's slope to the upper one. A slope that goes on to the side of the picture is not measured.
 * It returns how many are. */
INLINE uint64_t measure(uint8_t *restrict steps, uint8_t *restrict any, const slopes *s, int w)
{
	const uint8_t *edge = s->edge;
	const int8_t *to_left = s->to_left, *to_right = s->to_right, *up = s->up, *down = s->down, *up_left = s->up_left, *up_right = s->up_right,
		     *down_left = s->down_left, *down_right = s->down_right, *lefts = s->left, *rights = s->right, above = s->above, below = s->below;
	for (int x = 1; x < w - 1; x++) {
		const uint8_t e = edge[x];
		const int8_t left = lefts[x], right = rights[x];
		int8_t before = to_left[x], most_before = left, after = to_right[x], most_after = right;
#define IF(angle, one, most_one, other, most_other)                                  \
	do {                                                                         \
		const int8_t a = one[x], b = other[x], c = most_one, d = most_other, yes = -(e == (angle)); \
		before = choose(yes, a, before);                                     \
		after = choose(yes, b, after);                                       \
		most_before = choose(yes, c, most_before);                           \
		most_after = choose(yes, d, most_after);                             \
	} while (0)
		IF(ALONG_Y, up, above, down, below);
		IF(UPWARD, down_left, lesser(left, below), up_right, lesser(right, above));
		IF(DOWNWARD, up_left, lesser(left, above), down_right, lesser(right, below));
#undef IF
		/* The pixels before fall and those after rise, or the other way round. */
		const int8_t falls = -(before < 0), back = choose(falls, -before, before), forth = choose(falls, after, -after), on = forth & -(forth > 0);
		const uint8_t outside = -(back == most_before) | -(on == most_after) | -(e == NONE), sum = back + on;
		steps[x] = sum & ~outside;
		any[x] = steps[x] > 0;
	}
	return total(any + 1, w - 2);
}

/* add adds the widths of a row's edges to those of others, and overwrites them. */
INLINE void add(kvsf_edges *out, uint8_t *restrict steps, const uint8_t *edge, int w)
{
	const uint64_t all = total(steps + 1, w - 2);
	for (int x = 1; x < w - 1; x++)
		steps[x] &= -(edge[x] > ALONG_Y);
	const uint64_t diagonal = total(steps + 1, w - 2);
	out->straight += all - diagonal;
	out->diagonal += diagonal;
}

INLINE void blur_body(const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out)
{
	*out = (kvsf_edges){0};
	if (w < 3 || h < 3)
		return;
	const ptrdiff_t n = (ptrdiff_t)w * h;
	uint16_t *const words = scratch;
	uint8_t *const marks = (uint8_t *)(words + 2 * RING * w), *const smoothed = marks + RING * w, *const edge = smoothed + n;
	smooth(smoothed, p, w, h, words, words + w, words + 2 * w);
	find(edge, smoothed, w, h, words, words + RING * w, marks);

	/* Levels with a sign are easier to compare. */
	int8_t *level = (int8_t *)smoothed;
	for (ptrdiff_t i = 0; i < n; i++)
		level[i] = smoothed[i] - 128;

	/* From the bottom to the top, the runs to rows below. */
	int8_t *const down = (int8_t *)edge + n, *const down_right = down + n, *const down_left = down_right + n;
	memset(down + n - w, 0, w);
	memset(down_right + n - w, 0, w);
	memset(down_left + n - w, 0, w);
	for (ptrdiff_t i = n - 2 * w; i >= w; i -= w) {
		runs(down + i, level + i, level + i + w, down + i + w, w);
		runs(down_right + i, level + i, level + i + w + 1, down_right + i + w + 1, w);
		runs(down_left + i, level + i, level + i + w - 1, down_left + i + w - 1, w);
	}

	/* From the top to the bottom, those to rows above, and along the rows of a band. */
	int8_t *const rest = down_left + n, *up = rest, *up_left = up + w, *up_right = up_left + w, *above = up_right + w, *left = above + 3 * w, *right = left + w;
	int8_t *const to_left = right + w + MARGIN, *const to_right = to_left + BAND * w + MARGIN, *const spare = to_right + BAND * w + MARGIN;
	memset(rest, 0, 8 * w + (3 * BAND * w + 4 * MARGIN));
	for (int x = 0; x < w; x++) {
		left[x] = room(x);
		right[x] = room(w - 1 - x);
	}
	for (int y = 1; y < h - 1; y++) {
		const ptrdiff_t i = (ptrdiff_t)y * w, along = (y - 1) % BAND * w;
		if (along == 0) {
			const int band = h - 1 - y < BAND ? h - 1 - y : BAND;
			runs_along(to_left, spare, level + i, w, band, 0);
			runs_along(to_right, spare, level + i, w, band, 1);
		}
		memcpy(above, up, 3 * w);
		runs(up, level + i, level + i - w, above, w);
		runs(up_left, level + i, level + i - w - 1, above + w - 1, w);
		runs(up_right, level + i, level + i - w + 1, above + 2 * w + 1, w);
		const slopes s = {
			edge + i, to_left + along, to_right + along, up, down + i, up_left, up_right, down_left + i, down_right + i, left, right, room(y), room(h - 1 - y),
		};
		out->count += measure((uint8_t *)spare, (uint8_t *)above, &s, w);
		add(out, (uint8_t *)spare, edge + i, w);
	}
}

#define kvsf_blur_body blur_body
KERNEL(void, kvsf_blur, (const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out), (p, w, h, scratch, out))
