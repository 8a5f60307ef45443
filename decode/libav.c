#include "libav.h"

#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>

void kvsf_flush(void *codec_context) { avcodec_flush_buffers(codec_context); }

/* The matrices belong to the context, which frees them. */
int kvsf_set_tables(void *codec_context, const uint16_t *luma, const uint16_t *chroma)
{
	AVCodecContext *c = codec_context;
	av_freep(&c->intra_matrix);
	av_freep(&c->chroma_intra_matrix);
	c->intra_matrix = av_memdup(luma, 64 * sizeof(*luma));
	c->chroma_intra_matrix = av_memdup(chroma, 64 * sizeof(*chroma));
	return c->intra_matrix && c->chroma_intra_matrix ? 0 : AVERROR(ENOMEM);
}

void kvsf_set_quality(void *frame, int quality) { ((AVFrame *)frame)->quality = quality; }
