#include "codec.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
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

void kvsf_skip_loop_filter(void *codec_context, int skip)
{
	((AVCodecContext *)codec_context)->skip_loop_filter = skip ? AVDISCARD_ALL : AVDISCARD_DEFAULT;
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

/* Pictures and tables are megabytes each, freed and taken again with every fragment. By default glibc
 * gives such memory back and has it mapped and cleared anew each time, and keeps a heap for each
 * thread, of which Go has many. This must be said before there is a second thread.
 *
 * The start of the heap, which is address space until it is touched, may have large pages: in a virtual machine the first
 * touch of each small one can take ten microseconds, and a decoder of 1080p has eight thousand of them. */
#ifdef __GLIBC__
enum { HEAP = 256 << 20, LARGE_PAGE = 2 << 20 };

__attribute__((constructor)) static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, HEAP + (64 << 20));
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, HEAP);
	void *volatile growth = malloc(1 << 20);
	free(growth);
	mallopt(M_TOP_PAD, 128 << 10);
	uintptr_t end = (uintptr_t)sbrk(0) & -(uintptr_t)LARGE_PAGE;
	madvise((void *)(end - HEAP), HEAP, MADV_HUGEPAGE);
}
#endif

/* The number of errors that this thread has logged since it was last asked. */
int kvsf_complaints(void)
{
	int n = complaints;
	complaints = 0;
	return n;
}

/* Says whether libav had to guess a part of the picture: 1 that it had to conceal damage, 2
 * that it does not trust what the picture refers to. */
int kvsf_damage(const void *frame)
{
	const AVFrame *f = frame;
	return (f->decode_error_flags ? 1 : 0) | (f->flags & AV_FRAME_FLAG_CORRUPT ? 2 : 0);
}
