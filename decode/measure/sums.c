#include "measure.h"

#include <string.h>

INLINE int below_body(const uint8_t *p, int n, int threshold)
{
	int count = 0;
	for (int i = 0; i < n; i++)
		count += p[i] < threshold;
	return count;
}

#define kvsf_below_body below_body
KERNEL(int, kvsf_below, (const uint8_t *p, int n, int threshold), (p, n, threshold))

INLINE uint64_t gradients_body(const uint8_t *p, int w, int h)
{
	uint64_t all = 0;
	for (ptrdiff_t y = 0; y < h - 1; y++) {
		const uint8_t *a = p + y * w, *b = a + w;
		uint32_t sum = 0;
		for (int x = 0; x < w - 1; x++) {
			int dx = a[x + 1] - a[x], dy = b[x] - a[x];
			sum += dx * dx + dy * dy;
		}
		all += sum;
	}
	return all;
}

#define kvsf_gradients_body gradients_body
KERNEL(uint64_t, kvsf_gradients, (const uint8_t *p, int w, int h), (p, w, h))

void kvsf_levels(const uint8_t *p, int n, uint32_t *count)
{
	memset(count, 0, 256 * sizeof(*count));
	for (int i = 0; i < n; i++)
		count[p[i]]++;
}

INLINE void cells_body(const uint8_t *p, int w, int h, int columns, int rows, uint32_t *sums)
{
	memset(sums, 0, sizeof(*sums) * columns * rows);
	for (int j = 0; j < rows; j++)
		for (ptrdiff_t y = j * h / rows; y < (j + 1) * h / rows; y++)
			for (int i = 0; i < columns; i++)
				for (int x = i * w / columns; x < (i + 1) * w / columns; x++)
					sums[j * columns + i] += p[y * w + x];
}

#define kvsf_cells_body cells_body
KERNEL(void, kvsf_cells, (const uint8_t *p, int w, int h, int columns, int rows, uint32_t *sums), (p, w, h, columns, rows, sums))
