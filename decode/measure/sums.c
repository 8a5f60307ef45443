#include "measure.h"

uint64_t kvsf_absolute(const uint8_t *a, const uint8_t *b, ptrdiff_t n) { return differences(a, b, n); }

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
		for (int x = 0; x < w; x++) { /* one too many: a row is often whole vectors */
			const int16_t dx = a[x + 1] - a[x], dy = b[x] - a[x];
			sum += dx * dx + dy * dy;
		}
		const int dx = a[w] - a[w - 1], dy = b[w - 1] - a[w - 1];
		all += sum - (uint32_t)(dx * dx + dy * dy);
	}
	return all;
}

#define kvsf_gradients_body gradients_body
KERNEL(uint64_t, kvsf_gradients, (const uint8_t *p, int w, int h), (p, w, h))

/* kvsf_levels uses four tables in turn, since adding to a number twice in a row is slow. */
void kvsf_levels(const uint8_t *p, int n, uint32_t *count)
{
	uint32_t some[4][256] = {0};
	int i = 0;
	for (; i + 4 <= n; i += 4)
		for (int k = 0; k < 4; k++)
			some[k][p[i + k]]++;
	for (; i < n; i++)
		some[0][p[i]]++;
	for (int v = 0; v < 256; v++)
		count[v] = some[0][v] + some[1][v] + some[2][v] + some[3][v];
}
