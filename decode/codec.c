#include "codec.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

void kvsf_flush(void *codec_context) { avcodec_flush_buffers(codec_context); }

void kvsf_drop_extradata(void *codec_context)
{
	AVCodecContext *c = codec_context;
	av_freep(&c->extradata);
	c->extradata_size = 0;
}

/* Asks a decoder for one picture that it still holds back, and leaves it able to go on.
 * avcodec ends a decoder that is drained; a packet with side data alone reaches the
 * decoder as one without data, which is what draining hands to it, and nothing else happens. */
int kvsf_ask_delayed(void *codec_context)
{
	AVPacket *p = av_packet_alloc();
	int err = AVERROR(ENOMEM);
	if (p && av_packet_new_side_data(p, AV_PKT_DATA_JP_DUALMONO, 1))
		err = avcodec_send_packet(codec_context, p);
	av_packet_free(&p);
	return err;
}

/* Keeps H.264's decoder from putting pictures in order: it holds one back, always, and is asked for it after
 * each packet. With none held back it would drop pictures that are shown before one that is out already. */
void kvsf_no_order(void *codec_context)
{
	AVCodecContext *c = codec_context;
	if (c->codec_id == AV_CODEC_ID_H264)
		c->has_b_frames = 1;
}

void kvsf_leave_out(void *codec_context, int loop_filter, int concealment)
{
	AVCodecContext *c = codec_context;
	c->skip_loop_filter = loop_filter ? AVDISCARD_ALL : AVDISCARD_DEFAULT;
	c->error_concealment = concealment ? 0 : FF_EC_GUESS_MVS | FF_EC_DEBLOCK;
}

/* libav writes what it finds wrong to a log and often tells it in no other way. */
static _Thread_local int complaints;

static void on_log(void *object, int level, const char *format, va_list arguments)
{
	(void)object, (void)format, (void)arguments;
	if (level <= AV_LOG_ERROR)
		complaints++;
}

void kvsf_listen(void) { av_log_set_callback(on_log); }

#ifdef __GLIBC__
enum { HEAP = 256 << 20, HUGE_PAGE = 2 << 20, KEPT = 64 << 20 };

/* A decoder of 1080p touches eight thousand pages, each of which costs ten microseconds in some virtual
 * machines. So the heap takes its address space at once, and asks for huge pages but for its
 * beginning, which is enough for a program that decodes nothing. */
static void use_huge_pages(void)
{
#ifdef MADV_HUGEPAGE
	mallopt(M_TOP_PAD, HEAP);
	char *heap = malloc(HUGE_PAGE), *end = sbrk(0);
	mallopt(M_TOP_PAD, HUGE_PAGE);
	uintptr_t from = ((uintptr_t)heap + HUGE_PAGE / 8 + HUGE_PAGE - 1) & -(uintptr_t)HUGE_PAGE;
	if (heap && heap < end && from < (uintptr_t)end)
		madvise((void *)from, (uintptr_t)end - from, MADV_HUGEPAGE);
	free(heap);
#endif
}

/* Pictures and tables are megabytes each, freed and taken again with every fragment. By default glibc
 * gives such memory back and has it mapped and cleared anew each time, and keeps a heap for each
 * thread, of which Go has many. This must be said before there is a second thread. */
__attribute__((constructor)) static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, KEPT);
	mallopt(M_TRIM_THRESHOLD, HEAP + KEPT);
	mallopt(M_ARENA_MAX, 1);
	use_huge_pages();
}
#endif

/* Decodes a copy of the data as one packet, and counts the errors that libav logs on the way. Length prefixes
 * of the given size, 3 or 4 bytes, become start codes. */
int kvsf_decode(void *codec_context, const uint8_t *data, int size, int64_t pts, int prefix, int *complaints_out)
{
	AVPacket *p = av_packet_alloc();
	int err = p ? av_new_packet(p, size) : AVERROR(ENOMEM);
	*complaints_out = 0;
	if (err < 0) {
		av_packet_free(&p);
		return err;
	}
	memcpy(p->data, data, size);
	p->pts = pts;
	for (int64_t at = 0; prefix && at + prefix <= size;) {
		uint32_t n = 0;
		for (int i = 0; i < prefix; i++) {
			n = n << 8 | p->data[at + i];
			p->data[at + i] = i == prefix - 1;
		}
		at += prefix + (int64_t)n;
	}
	complaints = 0;
	err = avcodec_send_packet(codec_context, p);
	*complaints_out = complaints;
	av_packet_free(&p);
	return err;
}

/* Says whether libav had to guess a part of the picture: 1 that it had to conceal damage, 2
 * that it does not trust what the picture refers to. */
int kvsf_damage(const void *frame)
{
	const AVFrame *f = frame;
	return (f->decode_error_flags ? 1 : 0) | (f->flags & AV_FRAME_FLAG_CORRUPT ? 2 : 0);
}
