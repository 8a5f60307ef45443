/* Locks a child process down before the Go runtime starts: while there is one thread, from which all others inherit. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "sandbox.h"

kvsf_sandbox_state kvsf_sandbox;

/* The child has its standard streams, a socket and shared memory. */
enum { FIRST_FREE = 5, MOST_FILES = 16 };

static void limit(int resource, rlim_t most)
{
	struct rlimit l = { most, most };
	setrlimit(resource, &l);
}

/* A program that embeds this package may have opened files that are not closed on exec. */
static void close_others(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, FIRST_FREE, ~0U, 0) == 0)
		return;
#endif
	struct rlimit files = { 0, 0 };
	getrlimit(RLIMIT_NOFILE, &files);
	for (int fd = FIRST_FREE; fd < 65536 && (rlim_t)fd < files.rlim_cur; fd++)
		close(fd);
}

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

/* The rights that a ruleset denies: of files, of the network, and of signals and abstract sockets. */
struct ruleset {
	uint64_t fields[3];
};

/* Landlock's newest rights have the highest bits. Returns as many of the lowest bits of a field as the kernel knows. */
static uint64_t known_rights(int field)
{
	for (int n = 40; n > 0; n--) {
		struct ruleset r = { { 0 } };
		r.fields[field] = (UINT64_C(1) << n) - 1;
		int fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(uint64_t) * ((size_t)field + 1), 0);
		if (fd >= 0) {
			close(fd);
			return r.fields[field];
		}
		if (errno != EINVAL)
			return 0; /* the kernel does not know the field */
	}
	return 0;
}

/* Denies every right that Landlock knows, without an exception. Returns the kernel's version of Landlock, or 0. */
static int deny_rights(void)
{
	enum { VERSION = 1 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	struct ruleset r;
	size_t size = sizeof(uint64_t);
	if (version < 1)
		return 0;
	for (int i = 0; i < 3; i++) {
		r.fields[i] = known_rights(i);
		if (r.fields[i] != 0)
			size = sizeof(uint64_t) * ((size_t)i + 1);
	}
	int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd < 0)
		return 0;
	long err = syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
	return err == 0 ? (int)version : 0;
}

void kvsf_default_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		signal(faults[i], SIG_DFL);
}

__attribute__((constructor)) static void lock_down(void)
{
	const char *env = getenv("KVSFRAMES_SANDBOX"); /* MARK:BYTES */
	const char *colon = env ? strrchr(env, ':') : NULL;
	if (!colon || colon == env || colon - env >= KVSF_MARK_SIZE)
		return;
	memcpy(kvsf_sandbox.mark, env, (size_t)(colon - env));
	rlim_t memory = (rlim_t)strtoull(colon + 1, NULL, 10);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	close_others();
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, MOST_FILES);
	if (memory > 0)
		limit(RLIMIT_DATA, memory);
	kvsf_sandbox.landlock = deny_rights();
	kvsf_sandbox.seccomp = kvsf_filter();
}
