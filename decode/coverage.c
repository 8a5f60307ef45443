#include "coverage.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Decoders write into buffers that held other pictures. Where slices are missing, the H.265 decoder leaves the old content
 * and reports nothing, and so does the H.264 decoder in pictures of fields. So a row of samples that no picture contains is
 * written into each block before decoding, and looked for afterwards. It lies in the middle of the block, which the loop
 * filters of neighbouring blocks do not reach. If a block is decoded only in part, libav reports an error. */
enum { ROW = 8 };
static const uint8_t row_samples[ROW] = {31, 227, 74, 183, 12, 156, 241, 99};

/* The most that sample adaptive offset (H.265) adds to a sample of 8 bits: blocks that were not decoded may be filtered. */
enum { OFFSET = 7 };

typedef struct {
	int block, fields;
	/* The frames of the current packet: the picture and, in H.265, the next one, which shows the picture if film grain is added. */
	AVFrame *frames[2];
} watch;

static void forget(watch *w)
{
	for (int i = 0; i < 2; i++)
		av_frame_free(&w->frames[i]);
}

/* remember keeps a reference to the frame, and reports whether it is the picture. The H.264 decoder
 * allocates frames for lost pictures before it, the H.265 decoder after it. */
static int remember(watch *w, AVCodecContext *c, const AVFrame *f, int *err)
{
	int i = 0;
	if (c->codec_id == AV_CODEC_ID_H264)
		forget(w);
	else
		while (i < 2 && w->frames[i])
			i++;
	if (i == 2)
		return 0;
	w->frames[i] = av_frame_clone(f);
	if (!w->frames[i])
		*err = AVERROR(ENOMEM);
	return i == 0 && w->frames[i];
}

typedef struct {
	int x, y, w, h; /* in samples of the first plane */
} area;

/* block_at returns the block at x, y, clipped to the picture. */
static area block_at(const watch *w, const AVFrame *f, int x, int y)
{
	return (area){x, y, FFMIN(w->block, f->width - x), FFMIN(w->block, f->height - y)};
}

/* sample_row returns where the row of samples of a block is; with fields, there is one in each of them. */
static uint8_t *sample_row(const AVFrame *f, area a, int parity, int bytes)
{
	return f->data[0] + (ptrdiff_t)(a.y + a.h / 2 - parity) * f->linesize[0] + (ptrdiff_t)(a.x + FFMAX(a.w / 2 - ROW / 2, 0)) * bytes;
}

static void put_row(uint8_t *at, int depth)
{
	if (depth == 8)
		memcpy(at, row_samples, ROW);
	else
		for (int i = 0; i < ROW; i++)
			((uint16_t *)at)[i] = row_samples[i] << (depth - 8);
}

static int has_row(const uint8_t *at, int depth)
{
	for (int i = 0; i < ROW; i++) {
		int v = depth == 8 ? at[i] : ((const uint16_t *)at)[i];
		if (abs(v - (row_samples[i] << (depth - 8))) > OFFSET << (depth - 8))
			return 0;
	}
	return 1;
}

/* watched returns the format of a frame that can be watched, or NULL. */
static const AVPixFmtDescriptor *watched(const AVFrame *f)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	if (!d || d->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_PAL) || f->width < ROW || f->height < ROW)
		return NULL;
	return d;
}

static int get_buffer(AVCodecContext *c, AVFrame *f, int flags)
{
	watch *w = c->opaque;
	const AVPixFmtDescriptor *d;
	int err = avcodec_default_get_buffer2(c, f, flags);
	/* Packets of headers alone are not watched, since nothing of them is decoded (see kvsf_leave_out). */
	if (err < 0 || !c->error_concealment || !(d = watched(f)) || !remember(w, c, f, &err))
		return err;
	int depth = d->comp[0].depth;
	ptrdiff_t next = (ptrdiff_t)w->block * f->linesize[0];
	for (int y = 0; y < f->height; y += w->block)
		for (int x = 0; x < f->width; x += w->block)
			for (int parity = 0; parity <= w->fields; parity++) {
				uint8_t *at = sample_row(f, block_at(w, f, x, y), parity, depth > 8 ? 2 : 1);
				__builtin_prefetch(at + next, 1);
				put_row(at, depth);
			}
	return 0;
}

/* fill_area makes an area grey in all planes: every step-th line, from first on. */
static void fill_area(AVFrame *f, area a, int first, int step)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	for (int p = 0; p < 4 && f->data[p]; p++) {
		int chroma = (p == 1 || p == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
		int sx = chroma ? d->log2_chroma_w : 0, sy = chroma ? d->log2_chroma_h : 0, depth = d->comp[0].depth;
		int n = AV_CEIL_RSHIFT(a.w, sx), end = (a.y >> sy) + AV_CEIL_RSHIFT(a.h, sy);
		for (int y = (a.y >> sy) + first; y < end; y += step) {
			uint8_t *row = f->data[p] + (ptrdiff_t)y * f->linesize[p] + (ptrdiff_t)(a.x >> sx) * (depth > 8 ? 2 : 1);
			if (depth == 8)
				memset(row, 1 << (depth - 1), n);
			else
				for (int x = 0; x < n; x++)
					((uint16_t *)row)[x] = 1 << (depth - 1);
		}
	}
}

/* Makes the blocks of the last packet's picture that were not decoded grey, and returns their number. It is called
 * after each packet, when a decoder without threads has finished the picture. */
int kvsf_fill_uncovered(void *codec_context)
{
	AVCodecContext *c = codec_context;
	watch *w = c->opaque;
	AVFrame *f = w ? w->frames[0] : NULL;
	int n = 0;
	if (!f)
		return 0;
	int depth = av_pix_fmt_desc_get(f->format)->comp[0].depth;
	ptrdiff_t next = (ptrdiff_t)w->block * f->linesize[0]; /* most of the time is spent on reading memory */
	for (int y = 0; y < f->height; y += w->block)
		for (int x = 0; x < f->width; x += w->block)
			for (int parity = 0; parity <= w->fields; parity++) {
				area a = block_at(w, f, x, y);
				const uint8_t *at = sample_row(f, a, parity, depth > 8 ? 2 : 1);
				__builtin_prefetch(at + next);
				if (!has_row(at, depth))
					continue;
				n++;
				for (int i = 0; i < 2 && w->frames[i]; i++)
					fill_area(w->frames[i], a, w->fields && (a.h / 2 - parity) & 1, 1 + w->fields);
			}
	forget(w);
	return n;
}

/* Starts watching the decoder, from the next packet on. block is the side of a block in samples. fields states whether a
 * picture may consist of two fields that are decoded separately. */
int kvsf_watch(void *codec_context, int block, int fields)
{
	AVCodecContext *c = codec_context;
	watch *w = c->opaque;
	if (!w)
		w = c->opaque = av_mallocz(sizeof(*w));
	if (!w)
		return AVERROR(ENOMEM);
	w->block = block;
	w->fields = fields;
	c->get_buffer2 = get_buffer;
	return 0;
}

/* Stops watching the decoder. It must be called before the decoder is freed. */
void kvsf_unwatch(void *codec_context)
{
	AVCodecContext *c = codec_context;
	if (c->opaque)
		forget(c->opaque);
	av_freep(&c->opaque);
}
