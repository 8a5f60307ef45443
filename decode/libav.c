#include "libav.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

void kvsf_flush(void *codec_context) { avcodec_flush_buffers(codec_context); }

void *kvsf_scaler_new(int sw, int sh, int sf, int dw, int dh, int df, int flags, int matrix, int src_full, int dst_matrix, int dst_full)
{
	struct SwsContext *c = sws_getContext(sw, sh, sf, dw, dh, df, flags, NULL, NULL, NULL);
	if (!c)
		return NULL;
	/* The answer is negative for pairs of formats that know no matrix; then there is nothing to set. */
	sws_setColorspaceDetails(c, sws_getCoefficients(matrix), src_full, sws_getCoefficients(dst_matrix), dst_full, 0, 1 << 16, 1 << 16);
	return c;
}

void kvsf_scaler_free(void *scaler) { sws_freeContext(scaler); }

/* planes_at points out at the pixel x, y of each plane of f. */
static void planes_at(const AVFrame *f, int x, int y, uint8_t *out[4])
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	for (int p = 0; p < 4; p++)
		out[p] = f->data[p];
	for (int c = d->nb_components - 1; c >= 0; c--) {
		int chroma = (c == 1 || c == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
		int px = chroma ? x >> d->log2_chroma_w : x, py = chroma ? y >> d->log2_chroma_h : y;
		int p = d->comp[c].plane;
		out[p] = f->data[p] + (ptrdiff_t)py * f->linesize[p] + (ptrdiff_t)px * d->comp[c].step;
	}
}

int kvsf_scale(void *scaler, const void *src_frame, int x, int y, int h, void *dst_frame)
{
	const AVFrame *s = src_frame;
	AVFrame *d = dst_frame;
	uint8_t *src[4];
	planes_at(s, x, y, src);
	return sws_scale(scaler, (const uint8_t *const *)src, s->linesize, 0, h, d->data, d->linesize);
}

int kvsf_fill(void *frame, const uint32_t *color)
{
	AVFrame *f = frame;
	ptrdiff_t strides[4] = {f->linesize[0], f->linesize[1], f->linesize[2], f->linesize[3]};
	return av_image_fill_color(f->data, strides, f->format, color, f->width, f->height, 0);
}

void kvsf_paste(void *dst_frame, int x, int y, const void *src_frame)
{
	AVFrame *d = dst_frame;
	const AVFrame *s = src_frame;
	uint8_t *dst[4];
	planes_at(d, x, y, dst);
	av_image_copy2(dst, d->linesize, s->data, s->linesize, d->format, s->width, s->height);
}

static inline uint8_t clip8(int32_t v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

#define SHIFT 14

/* convert_chroma turns one row of chroma, and leaves what the old chroma adds to luma in add. */
static void convert_chroma(uint8_t *restrict du, uint8_t *restrict dv, const uint8_t *restrict su, const uint8_t *restrict sv, int32_t *restrict add, int n, const kvsf_matrix *m)
{
	const kvsf_matrix k = *m;
	for (int i = 0; i < n; i++) {
		int32_t u = su[i], v = sv[i];
		add[i] = k.y_from_u * u + k.y_from_v * v + k.y_base;
		du[i] = clip8((k.u_from_u * u + k.u_from_v * v + k.u_base) >> SHIFT);
		dv[i] = clip8((k.v_from_u * u + k.v_from_v * v + k.v_base) >> SHIFT);
	}
}

static void convert_luma(uint8_t *restrict dst, const uint8_t *restrict src, const int32_t *restrict add, int n, int32_t gain)
{
	for (int i = 0; i < n / 2; i++) {
		dst[2 * i] = clip8((gain * src[2 * i] + add[i]) >> SHIFT);
		dst[2 * i + 1] = clip8((gain * src[2 * i + 1] + add[i]) >> SHIFT);
	}
	if (n & 1)
		dst[n - 1] = clip8((gain * src[n - 1] + add[n / 2]) >> SHIFT);
}

/* Both frames are 8-bit 4:2:0 planes of the same size. */
void kvsf_convert(void *dst_frame, const void *src_frame, const kvsf_matrix *m)
{
	AVFrame *d = dst_frame;
	const AVFrame *s = src_frame;
	int chroma = (s->width + 1) / 2;
	int32_t add[32768]; /* half of the largest width that a configuration can ask for */

	for (int y = 0; y < s->height; y += 2) {
		ptrdiff_t c = y / 2;
		convert_chroma(d->data[1] + c * d->linesize[1], d->data[2] + c * d->linesize[2],
			       s->data[1] + c * s->linesize[1], s->data[2] + c * s->linesize[2], add, chroma, m);
		for (ptrdiff_t r = y; r < y + 2 && r < s->height; r++)
			convert_luma(d->data[0] + r * d->linesize[0], s->data[0] + r * s->linesize[0], add, s->width, m->y_gain);
	}
}
