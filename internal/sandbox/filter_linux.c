#define _GNU_SOURCE
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef ARCH
int kvsf_filter(void) { return 0; }
#else

/* What computing, threads, clocks and an open socket need. The most frequent ones come first. */
static const int allowed[] = {
	SYS_futex, SYS_read, SYS_write, SYS_sendto, SYS_recvfrom, SYS_madvise, SYS_munmap, SYS_mremap, SYS_brk, SYS_nanosleep,
	SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_sched_yield, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_gettid, SYS_getpid, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_set_robust_list, SYS_set_tid_address, SYS_rseq, SYS_getrandom, SYS_sched_getaffinity,
	SYS_sysinfo, SYS_timer_create, SYS_timer_settime, SYS_timer_delete, SYS_setitimer, SYS_exit, SYS_exit_group,
	SYS_restart_syscall, SYS_fstat, SYS_close, SYS_fcntl, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
	SYS_eventfd2,
#ifdef __x86_64__
	SYS_arch_prctl, SYS_poll, SYS_epoll_wait, SYS_time,
#endif
};

/* What the Go runtime, libc or libav may try, and can do without. Any other call kills the process. */
static const struct {
	int call, error;
} refused[] = {
	{ SYS_clone3, ENOSYS }, /* its flags are behind a pointer, which a filter cannot follow; libc then calls clone */
	{ SYS_prctl, EINVAL }, /* Go names its memory */
	{ SYS_ioctl, ENOTTY },
	{ SYS_openat, EPERM }, { SYS_openat2, ENOSYS }, { SYS_readlinkat, EPERM }, { SYS_newfstatat, EPERM }, { SYS_statx, EPERM },
	{ SYS_faccessat, EPERM }, { SYS_uname, EPERM }, { SYS_pipe2, EPERM }, { SYS_mincore, EPERM }, { SYS_ftruncate, EPERM },
	{ SYS_socket, EPERM }, { SYS_socketpair, EPERM }, { SYS_connect, EPERM }, { SYS_bind, EPERM },
	{ SYS_execve, EPERM }, { SYS_execveat, EPERM }, { SYS_kill, EPERM }, { SYS_tkill, EPERM }, { SYS_ptrace, EPERM },
	{ SYS_setrlimit, EPERM }, { SYS_getrlimit, EPERM },
#ifdef __x86_64__
	{ SYS_open, EPERM }, { SYS_readlink, EPERM }, { SYS_stat, EPERM }, { SYS_access, EPERM }, { SYS_fork, EPERM }, { SYS_vfork, EPERM },
#endif
};

enum { SIZE = 512 };

struct program {
	struct sock_filter code[SIZE];
	unsigned short n;
};

static void put(struct program *p, uint16_t op, uint8_t yes, uint8_t no, uint32_t k)
{
	if (p->n < SIZE)
		p->code[p->n++] = (struct sock_filter){ op, yes, no, k };
}

static void load(struct program *p, size_t at) { put(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)at); }
static void answer(struct program *p, uint32_t what) { put(p, BPF_RET | BPF_K, 0, 0, what); }
static void refuse(struct program *p, int error) { answer(p, SECCOMP_RET_ERRNO | (uint32_t)error); }

/* The places of an argument's lower and upper half, on a little-endian processor. */
static size_t low(int arg) { return offsetof(struct seccomp_data, args) + 8 * (size_t)arg; }
static size_t high(int arg) { return low(arg) + 4; }

/* Answers call by one of its arguments' lower half: allowed if it has all bits of set, and none of clear. */
static void put_bits(struct program *p, int call, int arg, uint32_t set, uint32_t clear)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, (uint32_t)call);
	load(p, low(arg));
	put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, set | clear);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, set);
	answer(p, SECCOMP_RET_ALLOW);
	refuse(p, EPERM);
}

/* Answers call by a whole argument, whose upper half must be 0. */
static void put_equal(struct program *p, int call, int arg, uint32_t value)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 6, (uint32_t)call);
	load(p, high(arg));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0);
	load(p, low(arg));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
	answer(p, SECCOMP_RET_ALLOW);
	refuse(p, EPERM);
}

int kvsf_filter(void)
{
	static struct program p;
	load(&p, offsetof(struct seccomp_data, arch));
	put(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	answer(&p, SECCOMP_RET_KILL_PROCESS);
	load(&p, offsetof(struct seccomp_data, nr)); /* those of x32 equal none */
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		put(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)allowed[i]);
		answer(&p, SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		put(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)refused[i].call);
		refuse(&p, refused[i].error);
	}
	put_bits(&p, SYS_mmap, 2, 0, PROT_EXEC);
	put_bits(&p, SYS_mprotect, 2, 0, PROT_EXEC);
	put_bits(&p, SYS_clone, 0, CLONE_THREAD, 0);
	put_equal(&p, SYS_tgkill, 0, (uint32_t)getpid());
	put_equal(&p, SYS_prlimit64, 2, 0); /* reads a limit, and sets none */
	answer(&p, SECCOMP_RET_KILL_PROCESS);
	if (p.n >= SIZE)
		return 0;
	struct sock_fprog program = { p.n, p.code };
	/* The child has no secrets of others that speculation could reach, so its speculation stays as it is. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
}
#endif
