#include "codec.h"
#include "coverage.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <limits.h>
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

/* Asks a decoder for one picture that it delays, and leaves it able to continue. After
 * draining it, avcodec would accept no more packets. A packet with only side data reaches
 * the decoder as one without data, just as in draining, but avcodec does not notice. */
int kvsf_ask_delayed(void *codec_context)
{
	AVPacket *p = av_packet_alloc();
	int err = AVERROR(ENOMEM);
	if (p && av_packet_new_side_data(p, AV_PKT_DATA_JP_DUALMONO, 1))
		err = avcodec_send_packet(codec_context, p);
	av_packet_free(&p);
	return err;
}

/* Keeps the H.264 decoder from reordering pictures: it always delays exactly one, and is asked for it after
 * each packet. Without the delay, it would drop pictures that are shown before one that it has returned. */
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

enum { HEVC_NAL_VPS = 32 }; /* lower types are slices */

/* libav logs the errors that it finds, and often reports them in no other way. */
static _Thread_local int complaints;

static void on_log(void *object, int level, const char *format, va_list arguments)
{
	static const char refused[] = "Skipping invalid undecodable NALU"; /* H.265; the type of the unit follows */
	(void)object;
	if (level <= AV_LOG_ERROR || level <= AV_LOG_WARNING && !strncmp(format, refused, sizeof(refused) - 1) && va_arg(arguments, int) < HEVC_NAL_VPS)
		complaints++;
}

void kvsf_listen(void) { av_log_set_callback(on_log); }

#ifdef __GLIBC__
enum { HEAP = 256 << 20, HUGE_PAGE = 2 << 20, KEPT = 64 << 20 };

/* A decoder of 1080p touches eight thousand pages, each of which costs ten microseconds in some virtual
 * machines. So the heap reserves its address space at once and asks for huge pages, except at its
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

/* Pictures and tables take megabytes each, and are freed and allocated again for every fragment. By
 * default, glibc returns such memory to the kernel, which maps and clears it again each time, and keeps a
 * heap for each thread, of which Go has many. These options must be set before a second thread starts. */
__attribute__((constructor)) static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, KEPT);
	mallopt(M_TRIM_THRESHOLD, HEAP + KEPT);
	mallopt(M_ARENA_MAX, 1);
	use_huge_pages();
}
#endif

/* The number of bytes of ones that are appended to each slice of H.265. The decoder reads nothing after a complete slice. In a
 * slice that was cut it reads the ones, where arithmetic decoding soon finds an end or an error, so that the rest of the
 * picture stays uncovered. Otherwise it would decode the next unit, or zeros, as a part of the picture. */
enum { ONES = 1024 };

static const uint8_t start_code[] = {0, 0, 0, 1};

typedef struct {
	const uint8_t *data;
	int size;
} unit;

static int find_start_code(const uint8_t *data, int size, int at)
{
	for (; at + 3 <= size; at += data[at + 2] > 1 ? 3 : 1)
		if (!data[at] && !data[at + 1] && data[at + 2] == 1)
			return at;
	return size;
}

/* next_unit reads the NAL unit from at on, and returns where the next one begins; -1 if there is none. */
static int next_unit(const uint8_t *data, int size, int form, int at, unit *out)
{
	if (form == KVSF_START_CODES) {
		int from = find_start_code(data, size, at) + 3, to = find_start_code(data, size, from);
		if (from > size)
			return -1;
		at = to;
		while (to > from && !data[to - 1])
			to--;
		*out = (unit){data + from, to - from};
		return at;
	}
	uint32_t n = 0;
	if (at + form > size)
		return -1;
	for (int i = 0; i < form; i++)
		n = n << 8 | data[at++];
	*out = (unit){data + at, (int)FFMIN(n, (uint32_t)(size - at))};
	return at + out->size;
}

/* lay_out writes the data as a byte stream, with ones after the slices of H.265, and returns its size. If to is NULL it only counts. */
static int64_t lay_out(uint8_t *to, const uint8_t *data, int size, int form, int hevc)
{
	int64_t n = 0;
	unit u;
	for (int at = 0; (at = next_unit(data, size, form, at, &u)) >= 0;) {
		int ones = hevc && u.size > 0 && (u.data[0] >> 1 & 0x3f) < HEVC_NAL_VPS ? ONES : 0;
		if (to) {
			memcpy(to + n, start_code, sizeof(start_code));
			memcpy(to + n + sizeof(start_code), u.data, u.size);
			memset(to + n + sizeof(start_code) + u.size, 0xff, ones);
		}
		n += (int)sizeof(start_code) + u.size + ones;
	}
	return n;
}

/* Decodes a copy of the data as one packet, which becomes a byte stream unless its form is KVSF_AS_IT_IS. */
int kvsf_decode(void *codec_context, const uint8_t *data, int size, int64_t pts, int form, kvsf_verdict *verdict)
{
	AVCodecContext *c = codec_context;
	int hevc = c->codec_id == AV_CODEC_ID_HEVC, changes = form > 0 || form == KVSF_START_CODES && hevc;
	int64_t n = changes ? lay_out(NULL, data, size, form, hevc) : size;
	AVPacket *p = av_packet_alloc();
	int err = !p ? AVERROR(ENOMEM) : n > INT_MAX - AV_INPUT_BUFFER_PADDING_SIZE ? AVERROR(EINVAL) : av_new_packet(p, (int)n);
	*verdict = (kvsf_verdict){0};
	if (err < 0) {
		av_packet_free(&p);
		return err;
	}
	if (changes)
		lay_out(p->data, data, size, form, hevc);
	else
		memcpy(p->data, data, size);
	p->pts = pts;
	complaints = 0;
	err = avcodec_send_packet(c, p);
	verdict->complaints = complaints;
	verdict->uncovered = kvsf_fill_uncovered(c);
	av_packet_free(&p);
	return err;
}

/* Returns flags for what libav had to guess of the picture: 1 if it concealed damage, 2 if a
 * reference is missing or damaged. */
int kvsf_damage(const void *frame)
{
	const AVFrame *f = frame;
	return (f->decode_error_flags ? 1 : 0) | (f->flags & AV_FRAME_FLAG_CORRUPT ? 2 : 0);
}
