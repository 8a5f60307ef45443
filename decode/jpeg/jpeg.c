#include "jpeg.h"
#include "transform.h"

#include <stdlib.h>
#include <string.h>

/* The state of a scan. */
typedef struct {
	const kvsf_jpeg_tables *tables;
	kvsf_jpeg_counts *counts; /* if set, symbols are counted and not written */
	uint8_t *to;
	uint64_t bits;
	int n; /* the number of bits that are not written yet: at most 31 between two symbols */
	int dc[3];
} state;

INLINE void put(state *s, uint32_t entry, uint32_t extra)
{
	int length = entry & 31;
	s->bits = s->bits << length | (entry >> 5 | extra);
	s->n += length;
	if (s->n < 32)
		return;
	s->n -= 32;
	uint32_t word = (uint32_t)(s->bits >> s->n);
	if (!((word & ~(word + 0x01010101u)) & 0x80808080u)) { /* no byte is 0xff */
		word = __builtin_bswap32(word);
		memcpy(s->to, &word, 4);
		s->to += 4;
		return;
	}
	for (int shift = 24; shift >= 0; shift -= 8) {
		uint8_t byte = word >> shift;
		*s->to++ = byte;
		if (byte == 0xff)
			*s->to++ = 0;
	}
}

/* put_symbol writes a symbol with its extra bits, or counts it if seen is set. */
INLINE void put_symbol(state *s, const uint32_t *codes, uint32_t *seen, int symbol, uint32_t extra)
{
	if (seen)
		seen[symbol]++;
	else
		put(s, codes[symbol], extra);
}

/* size_of returns how many extra bits a value takes, extra_of those bits. */
INLINE int size_of(int v) { return v ? 32 - __builtin_clz(v < 0 ? -v : v) : 0; }
INLINE uint32_t extra_of(int v, int size) { return (uint32_t)(v + (v >> 31)) & ((1u << size) - 1); }

#define END_OF_BLOCK 0x00
#define SIXTEEN_ZEROS 0xf0

INLINE void put_block(state *s, const int16_t *level, uint64_t nonzero, int component, const int count)
{
	int chroma = component > 0;
	const uint32_t *ac = s->tables->ac[chroma];
	uint32_t *seen = count ? s->counts->ac[chroma] : NULL;
	int diff = level[0] - s->dc[component], size = size_of(diff);
	s->dc[component] = level[0];
	put_symbol(s, s->tables->dc[chroma], count ? s->counts->dc[chroma] : NULL, size, extra_of(diff, size));

	uint64_t at = nonzero & ~1ull;
	int before = 0;
	for (; at; at &= at - 1) {
		int z = __builtin_ctzll(at), run = z - before - 1, v = level[z];
		before = z;
		for (; run > 15; run -= 16)
			put_symbol(s, ac, seen, SIXTEEN_ZEROS, 0);
		size = size_of(v);
		put_symbol(s, ac, seen, run << 4 | size, extra_of(v, size));
	}
	if (before < 63)
		put_symbol(s, ac, seen, END_OF_BLOCK, 0);
}

/* copy_edge copies a block that extends beyond the edge; the last row and column are repeated. */
static void copy_edge(uint8_t *to, int columns, int rows, const uint8_t *from, ptrdiff_t stride, int w, int h)
{
	for (int y = 0; y < rows; y++) {
		const uint8_t *row = from + (y < h ? y : h - 1) * stride;
		for (int x = 0; x < columns; x++)
			to[y * columns + x] = row[x < w ? x : w - 1];
	}
}

/* of_plane returns the side of plane i, given that of the picture. */
INLINE int of_plane(int side, int i) { return i ? (side + 1) / 2 : side; }

/* ask_ahead prefetches the samples of later macroblocks: 32 rows at once are too many for the processor's own prefetching. Prefetching
 * beyond the planes does no harm. */
INLINE void ask_ahead(const kvsf_jpeg_row *r, int mx)
{
	if (mx % 4 == 0)
		for (int y = 0; y < 16; y++)
			__builtin_prefetch(r->ahead[0] + y * r->ahead_stride[0] + 16 * mx + 128);
	if (mx % 8 == 0)
		for (int i = 1; i < 3; i++)
			for (int y = 0; y < 8; y++)
				__builtin_prefetch(r->ahead[i] + y * r->ahead_stride[i] + 8 * mx + 128);
}

/* put_two writes or counts two macroblocks, whose chroma is transformed together, or the last one. */
INLINE void put_two(state *s, const kvsf_jpeg_row *r, int mx, int w, int h, transform *tr, const int count)
{
	uint8_t edge[3][32 * 16];
	const uint8_t *plane[3];
	ptrdiff_t stride[3];
	for (int i = 0; i < 3; i++) {
		int side = i ? 8 : 16;
		stride[i] = r->stride[i];
		plane[i] = r->data[i] + mx * side;
		if (w >= 32 && h >= 16)
			continue;
		copy_edge(edge[i], 2 * side, side, plane[i], stride[i], of_plane(w, i), of_plane(h, i));
		plane[i] = edge[i];
		stride[i] = 2 * side;
	}
	const kvsf_jpeg_tables *t = s->tables;
	blocks luma, chroma;
	tr(plane[1], stride[1], plane[2], stride[2], t->reciprocal, t->bias, &chroma);
	for (int m = 0; m < 2 && 16 * m < w; m++) {
		const uint8_t *y = plane[0] + 16 * m;
		tr(y, stride[0], y + 8 * stride[0], stride[0], t->reciprocal, t->bias, &luma);
		for (int i = 0; i < 4; i++)
			put_block(s, luma.level[i], luma.nonzero[i], 0, count);
		put_block(s, chroma.level[m], chroma.nonzero[m], 1, count);
		put_block(s, chroma.level[2 + m], chroma.nonzero[2 + m], 2, count);
	}
}

/* More than two macroblocks can take: 12 blocks of 64 symbols of 27 bits, each byte followed by a 0. */
#define TWO_MAX 8192

static int make_room(kvsf_jpeg_scan *b)
{
	if (b->capacity - b->size >= TWO_MAX)
		return 1;
	size_t capacity = b->capacity < (1 << 16) ? 1 << 16 : 2 * b->capacity;
	uint8_t *data = realloc(b->data, capacity);
	if (!data)
		return 0;
	b->data = data;
	b->capacity = capacity;
	return 1;
}

INLINE int put_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, transform *tr, kvsf_jpeg_scan *scan, kvsf_jpeg_counts *counts,
		   const int count)
{
	state s = {.tables = t, .counts = counts, .bits = scan->bits, .n = scan->n};
	memcpy(s.dc, scan->dc, sizeof(s.dc));
	for (int x = 0; x < (w + 15) / 16; x += 2) {
		if (!count && !make_room(scan))
			return 0;
		s.to = scan->data + scan->size;
		ask_ahead(r, x);
		put_two(&s, r, x, w - 16 * x, h, tr, count);
		scan->size = s.to - scan->data;
	}
	scan->bits = s.bits;
	scan->n = s.n;
	memcpy(scan->dc, s.dc, sizeof(s.dc));
	return 1;
}

/* The same for processors with AVX2, which also have faster instructions for bits. */
#ifdef HAVE_AVX2
AVX2 static int avx2_put_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, transform *tr, kvsf_jpeg_scan *s)
{
	return put_row(r, w, h, t, tr, s, NULL, 0);
}
AVX2 static void avx2_count_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, transform *tr, kvsf_jpeg_scan *s, kvsf_jpeg_counts *c)
{
	put_row(r, w, h, t, tr, s, c, 1);
}
#else
#define avx2_put_row(r, w, h, t, tr, s) put_row(r, w, h, t, tr, s, NULL, 0)
#define avx2_count_row(r, w, h, t, tr, s, c) put_row(r, w, h, t, tr, s, c, 1)
#endif

void kvsf_jpeg_begin(kvsf_jpeg_scan *s)
{
	s->size = 0;
	s->bits = 0;
	s->n = 0;
	memset(s->dc, 0, sizeof(s->dc));
}

int kvsf_jpeg_put_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_scan *s)
{
	transform *tr = kvsf_transform(plain);
	return tr == kvsf_plain_transform ? put_row(r, w, h, t, tr, s, NULL, 0) : avx2_put_row(r, w, h, t, tr, s);
}

void kvsf_jpeg_count_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_scan *s, kvsf_jpeg_counts *counts)
{
	transform *tr = kvsf_transform(plain);
	if (tr == kvsf_plain_transform)
		put_row(r, w, h, t, tr, s, counts, 1);
	else
		avx2_count_row(r, w, h, t, tr, s, counts);
}

int kvsf_jpeg_end(kvsf_jpeg_scan *s)
{
	if (!make_room(s))
		return 0;
	/* Write the remaining bits; ones fill the last byte. */
	uint8_t *to = s->data + s->size;
	int rest = (s->n + 7) / 8;
	for (int i = 0; i < rest; i++) {
		int shift = s->n - 8 * (i + 1);
		uint8_t byte = shift >= 0 ? s->bits >> shift : s->bits << -shift | ((1 << -shift) - 1);
		*to++ = byte;
		if (byte == 0xff)
			*to++ = 0;
	}
	s->size = to - s->data;
	return 1;
}

void kvsf_jpeg_free(kvsf_jpeg_scan *s)
{
	free(s->data);
	memset(s, 0, sizeof(*s));
}
