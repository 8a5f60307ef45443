#include "measure.h"

int kvsf_measure_plain;

/* Rows are added up first: a pixel's column of samples becomes one sum. The strip of columns that is done at a time stays in the first cache. */
enum { STRIP = 2048 };

INLINE void shrink_body(uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor)
{
	const int sw = (w - 1) / factor + 1, sh = (h - 1) / factor + 1;
	for (int y = 0; y < sh; y++)
		for (int x = 0; x < sw; x++) {
			uint32_t sum = 0;
			int n = 0;
			for (int j = y * factor; j < (y + 1) * factor && j < h; j++)
				for (int i = x * factor; i < (x + 1) * factor && i < w; i++, n++)
					sum += depth > 8 ? ((const uint16_t *)(data + j * stride))[i] : data[j * stride + i];
			const double range = full ? (double)((1 << depth) - 1) * n : 219.0 * (1 << (depth - 8)) * n, black = full ? 0 : 16.0 * (1 << (depth - 8)) * n;
			const double v = sum * (255 / range) + (0.5 - 255 * black / range + 0.25 / range);
			dst[y * sw + x] = v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
		}
}

#define kvsf_shrink_body shrink_body
KERNEL(void, kvsf_shrink, (uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor),
       (dst, data, stride, w, h, depth, full, factor))
