#include "picture.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

/* orient reads a display matrix: if swap is set, rows become columns, and then the flips follow. It ignores anything
 * but quarter turns and mirrors. */
static void orient(const int32_t *m, kvsf_facts *f)
{
	int64_t a = m[0], b = m[1], c = m[3], d = m[4];
	int64_t straight = FFMIN(FFABS(a), FFABS(d)), across = FFMIN(FFABS(b), FFABS(c));
	if (straight > 100 * FFMAX(FFABS(b), FFABS(c))) {
		f->flip_x = a < 0;
		f->flip_y = d < 0;
	} else if (across > 100 * FFMAX(FFABS(a), FFABS(d))) {
		f->swap = 1;
		f->flip_x = c < 0;
		f->flip_y = b < 0;
	} else {
		return;
	}
	f->oriented = 1;
}

void kvsf_frame_facts(const void *frame, kvsf_facts *out)
{
	const AVFrame *f = frame;
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	*out = (kvsf_facts){
		.sar_num = f->sample_aspect_ratio.num,
		.sar_den = f->sample_aspect_ratio.den,
		.interlaced = !!(f->flags & AV_FRAME_FLAG_INTERLACED),
		.top_first = !!(f->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST),
		.transfer = f->color_trc,
		.primaries = f->color_primaries,
		.chroma_left = f->chroma_location == AVCHROMA_LOC_LEFT || f->chroma_location == AVCHROMA_LOC_UNSPECIFIED ||
			       f->chroma_location == AVCHROMA_LOC_TOPLEFT,
	};
	const AVFrameSideData *m = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
	if (m && m->size >= 9 * sizeof(int32_t))
		orient((const int32_t *)m->data, out);
	/* Our own loops support only planar, unsigned samples in native byte order. */
	if (!d || d->nb_components == 2 || d->nb_components > 3 || d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT))
		return;
	for (int c = 0; c < d->nb_components; c++)
		if (d->comp[c].plane != c || d->comp[c].shift || d->comp[c].step != (d->comp[c].depth > 8 ? 2 : 1))
			return;
	out->planes = d->nb_components;
	out->depth = d->comp[0].depth;
	out->log2_chroma_w = d->log2_chroma_w;
	out->log2_chroma_h = d->log2_chroma_h;
}

void kvsf_track_facts(const void *codec_context, kvsf_facts *out)
{
	const AVCodecContext *c = codec_context;
	const AVPacketSideData *m = av_packet_side_data_get(c->coded_side_data, c->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
	*out = (kvsf_facts){0};
	if (m && m->size >= 9 * sizeof(int32_t))
		orient((const int32_t *)m->data, out);
	m = av_packet_side_data_get(c->coded_side_data, c->nb_coded_side_data, AV_PKT_DATA_FRAME_CROPPING);
	for (int i = 0; m && m->size >= 16 && i < 4; i++)
		out->crop[i] = AV_RL32(m->data + 4 * i);
}

kvsf_plane kvsf_plane_of(const void *frame, int p)
{
	const AVFrame *f = frame;
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	int chroma = (p == 1 || p == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
	return (kvsf_plane){
		.data = f->data[p],
		.stride = f->linesize[p],
		.w = chroma ? AV_CEIL_RSHIFT(f->width, d->log2_chroma_w) : f->width,
		.h = chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height,
	};
}

void *kvsf_scaler_new(int sw, int sh, int sf, int dw, int dh, int df, int flags)
{
	struct SwsContext *c = sws_getContext(sw, sh, sf, dw, dh, df, flags, NULL, NULL, NULL);
	if (!c)
		return NULL;
	/* Full range on both sides. The result is negative for pairs of formats without a matrix, where there is nothing to set. */
	const int *bt601 = sws_getCoefficients(SWS_CS_ITU601);
	sws_setColorspaceDetails(c, bt601, 1, bt601, 1, 0, 1 << 16, 1 << 16);
	return c;
}

void kvsf_scaler_free(void *scaler) { sws_freeContext(scaler); }

int kvsf_scale_plane(void *scaler, const kvsf_plane *s, kvsf_plane *d)
{
	const uint8_t *src[4] = {s->data};
	uint8_t *dst[4] = {d->data};
	int from[4] = {(int)s->stride}, to[4] = {(int)d->stride};
	return sws_scale(scaler, src, from, 0, s->h, dst, to);
}

int kvsf_scale_frame(void *scaler, const void *src_frame, void *dst_frame)
{
	const AVFrame *s = src_frame;
	AVFrame *d = dst_frame;
	return sws_scale(scaler, (const uint8_t *const *)s->data, s->linesize, 0, s->height, d->data, d->linesize);
}

/* planes_at sets out to the addresses of pixel x, y in each plane of f. */
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
