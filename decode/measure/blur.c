#include "measure.h"

#include <string.h>

/* The width of edges, after Marziliano, Dufaux, Winkler and Ebrahimi, "A no-reference perceptual blur metric" (ICIP 2002), on
 * edges that are found as Canny's detector does: smoothed, thinned along the gradient, and kept by two thresholds. */
enum {
	LOW = 15,    /* of a gradient beside one that is higher than HIGH */
	HIGH = 30,   /* of a gradient that makes an edge by itself */
	RADIUS = 50, /* how far the end of an edge is looked for, in steps */
};

/* The direction of a gradient, rounded to 45 degrees. */
enum { ALONG_X, ALONG_Y, UPWARD, DOWNWARD };

/* smooth applies the 5x5 Gaussian mask of Canny's detector. Two pixels at each side stay as they are. */
INLINE void smooth(uint8_t *restrict to, const uint8_t *restrict p, int w, int h)
{
	memcpy(to, p, (size_t)w * h);
	for (ptrdiff_t y = 2; y < h - 2; y++) {
		const uint8_t *a = p + (y - 2) * w, *b = a + w, *c = b + w, *d = c + w, *e = d + w;
		for (int x = 2; x < w - 2; x++) {
			uint32_t sum = 2 * (a[x - 2] + a[x + 2] + e[x - 2] + e[x + 2]) + 4 * (a[x - 1] + a[x + 1] + e[x - 1] + e[x + 1]) + 5 * (a[x] + e[x]) +
				       4 * (b[x - 2] + b[x + 2] + d[x - 2] + d[x + 2]) + 9 * (b[x - 1] + b[x + 1] + d[x - 1] + d[x + 1]) + 12 * (b[x] + d[x]) +
				       5 * (c[x - 2] + c[x + 2]) + 12 * (c[x - 1] + c[x + 1]) + 15 * c[x];
			to[y * w + x] = sum / 159;
		}
	}
}

/* gradients applies Sobel's operator. At the sides there is none. */
INLINE void gradients(uint16_t *restrict size, uint8_t *restrict direction, const uint8_t *restrict p, int w, int h)
{
	memset(size, 0, sizeof(*size) * w * h);
	for (ptrdiff_t y = 1; y < h - 1; y++) {
		const uint8_t *a = p + (y - 1) * w, *b = a + w, *c = b + w;
		for (int x = 1; x < w - 1; x++) {
			int gx = a[x + 1] - a[x - 1] + 2 * (b[x + 1] - b[x - 1]) + c[x + 1] - c[x - 1];
			int gy = c[x - 1] - a[x - 1] + 2 * (c[x] - a[x]) + c[x + 1] - a[x + 1];
			int ax = gx < 0 ? -gx : gx, ay = gy < 0 ? -gy : gy;
			size[y * w + x] = ax + ay;
			/* The tangents of 22.5 and 67.5 degrees, in 16 bits. */
			direction[y * w + x] = ay << 16 < 27146 * ax ? ALONG_X : ay << 16 > 158218 * ax ? ALONG_Y : (gx ^ gy) < 0 ? UPWARD : DOWNWARD;
		}
	}
}

/* peaks marks pixels whose gradient is larger than those beside it in its direction: by 2 above HIGH, by 1 above LOW. */
INLINE void peaks(uint8_t *restrict to, const uint16_t *restrict size, const uint8_t *restrict direction, int w, int h)
{
	memset(to, 0, (size_t)w * h);
	for (ptrdiff_t y = 1; y < h - 1; y++)
		for (int x = 1; x < w - 1; x++) {
			ptrdiff_t i = y * w + x;
			ptrdiff_t step = direction[i] == ALONG_X ? 1 : direction[i] == ALONG_Y ? w : direction[i] == UPWARD ? w - 1 : w + 1;
			if (size[i] > size[i - step] && size[i] > size[i + step])
				to[i] = size[i] > HIGH ? 2 : size[i] > LOW;
		}
}

/* width counts the steps from an edge to where the pixels stop rising on one side, and falling on the other. It is 0 if that is outside of the picture. */
INLINE int width(const uint8_t *p, int x, int y, int dx, int dy, int w, int h)
{
	const ptrdiff_t step = dy * w + dx;
	const uint8_t *at = p + (ptrdiff_t)y * w + x;
	const int sign = at[0] > at[-step] ? 1 : -1;
	int k, l;
	for (k = 0; k < RADIUS; k++) {
		int nx = x - (k + 1) * dx, ny = y - (k + 1) * dy;
		if (nx < 0 || nx >= w || ny < 0 || ny >= h)
			return 0;
		if ((at[-k * step] - at[-(k + 1) * step]) * sign <= 0)
			break;
	}
	for (l = 0; l < RADIUS; l++) {
		int nx = x + (l + 1) * dx, ny = y + (l + 1) * dy;
		if (nx < 0 || nx >= w || ny < 0 || ny >= h)
			return 0;
		if ((at[l * step] - at[(l + 1) * step]) * sign >= 0)
			break;
	}
	return k + l;
}

INLINE void blur_body(const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out)
{
	const size_t n = (size_t)w * h;
	uint16_t *size = scratch;
	uint8_t *smoothed = (uint8_t *)(size + n), *direction = smoothed + n, *peak = direction + n;
	*out = (kvsf_edges){0};
	smooth(smoothed, p, w, h);
	gradients(size, direction, smoothed, w, h);
	peaks(peak, size, direction, w, h);
	for (int y = 1; y < h - 1; y++)
		for (int x = 1; x < w - 1; x++) {
			const uint8_t *at = peak + (ptrdiff_t)y * w + x, *up = at - w, *down = at + w;
			if (!*at || (*at == 1 && !((up[-1] | up[0] | up[1] | at[-1] | at[1] | down[-1] | down[0] | down[1]) & 2)))
				continue;
			const int d = direction[(ptrdiff_t)y * w + x];
			const int steps = width(smoothed, x, y, d != ALONG_Y, d == ALONG_X ? 0 : d == UPWARD ? -1 : 1, w, h);
			out->count += steps > 0;
			*(d == ALONG_X || d == ALONG_Y ? &out->straight : &out->diagonal) += steps;
		}
}

#define kvsf_blur_body blur_body
KERNEL(void, kvsf_blur, (const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out), (p, w, h, scratch, out))
