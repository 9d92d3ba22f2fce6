/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint32_t test_engine(void)
{
	const char *name = getenv("IOVA_TEST_ENGINE");

	if (!name || !*name || !strcmp(name, "rbtree"))
		return IOVA_ENGINE_RBTREE;
	if (!strcmp(name, "bitmap"))
		return IOVA_ENGINE_BITMAP;
	fprintf(stderr, "IOVA_TEST_ENGINE=%s: no such engine\n", name);
	exit(2);
}

bool test_engine_works(void)
{
	struct iova_space_config config = test_config(0, MIB(1) - 1, 0, NULL);
	struct iova_space *space;
	int rc = iova_space_create(&config, &space);

	if (!rc)
		iova_space_destroy(space);
	if (rc == IOVA_ERR_NOTSUP && config.engine != IOVA_ENGINE_RBTREE) {
		printf("skipped: this library has no engine %s\n", getenv("IOVA_TEST_ENGINE"));
		return false;
	}
	return true;
}

uint64_t test_env(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

bool test_slow(void)
{
	return test_env("IOVA_TEST_OPS", 10000000) < 1000000;
}

uint64_t test_seed(void)
{
	static uint64_t seed;
	static bool known;
	struct timespec now;

	if (known)
		return seed;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = test_env("IOVA_TEST_SEED", (uint64_t)now.tv_sec * 1000003u ^ (uint64_t)now.tv_nsec);
	known = true;
	printf("IOVA_TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

/* splitmix64 */
uint64_t test_next(struct test_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t test_below(struct test_random *random, uint64_t below)
{
	return test_next(random) % below;
}

#define BLOCK_MAGIC UINT64_C(0x10a10a10a10a10a1)

struct block {
	void *raw;
	size_t bytes;
	uint64_t magic;
};

static void *hook_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	struct test_memory *m = ctx;
	size_t call = atomic_fetch_add(&m->calls, 1) + 1, from = atomic_load(&m->fail_from);
	uintptr_t at;
	struct block *block;
	void *raw;

	if (flags & IOVA_MEMORY_ATOMIC)
		atomic_fetch_add(&m->atomic_calls, 1);
	if (!bytes || !align || (align & (align - 1)) || (flags & ~IOVA_MEMORY_ATOMIC))
		atomic_fetch_add(&m->broken, 1);
	if (from && (call == from || (call > from && !atomic_load(&m->fail_once))))
		return NULL;
	if ((uint64_t)bytes > GIB(1)) /* what no test needs, tools rather see refused than tried */
		return NULL;
	pthread_mutex_lock(&m->heap);
	raw = malloc(bytes + align + sizeof(*block) + _Alignof(struct block));
	pthread_mutex_unlock(&m->heap);
	if (!raw)
		return NULL;
	if (align < _Alignof(struct block))
		align = _Alignof(struct block);
	at = ((uintptr_t)raw + sizeof(*block) + align - 1) & ~(uintptr_t)(align - 1);
	block = (struct block *)(at - sizeof(*block));
	*block = (struct block){ raw, bytes, BLOCK_MAGIC };
	memset((void *)at, 0xa5, bytes);
	atomic_fetch_add(&m->blocks, 1);
	atomic_fetch_add(&m->bytes, bytes);
	return (void *)at;
}

static void hook_free(void *ctx, void *memory, size_t bytes)
{
	struct test_memory *m = ctx;
	struct block *block = (struct block *)((uintptr_t)memory - sizeof(*block));

	atomic_fetch_add(&m->free_calls, 1);
	if (!memory || block->magic != BLOCK_MAGIC || block->bytes != bytes) {
		atomic_fetch_add(&m->broken, 1);
		return;
	}
	atomic_fetch_sub(&m->blocks, 1);
	atomic_fetch_sub(&m->bytes, bytes);
	memset(memory, 0xdd, bytes);
	block->magic = 0;
	pthread_mutex_lock(&m->heap);
	free(block->raw);
	pthread_mutex_unlock(&m->heap);
}

void test_memory_init(struct test_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	pthread_mutex_init(&memory->heap, NULL);
	memory->hooks = (struct iova_memory){ sizeof(memory->hooks), hook_alloc, hook_free, memory };
}

void test_memory_fail(struct test_memory *memory, size_t from, bool once)
{
	atomic_store(&memory->calls, 0);
	atomic_store(&memory->fail_from, from);
	atomic_store(&memory->fail_once, once);
}

pid_t test_fork(struct test_memory *memory)
{
	pid_t pid;

	pthread_mutex_lock(&memory->heap);
	pid = fork();
	pthread_mutex_unlock(&memory->heap);
	return pid;
}

bool test_memory_clean(const struct test_memory *memory)
{
	return !atomic_load(&memory->blocks) && !atomic_load(&memory->bytes) && !atomic_load(&memory->broken);
}

struct iova_space_config test_config(uint64_t start, uint64_t last, uint32_t flags, const struct test_memory *memory)
{
	struct iova_space_config config;

	memset(&config, 0, sizeof(config));
	config.struct_size = sizeof(config);
	config.aperture = (struct iova_extent){ start, last };
	config.engine = test_engine();
	config.flags = flags;
	config.cache_granules = IOVA_CACHE_OFF;
	config.seed = 1;
	config.memory = memory ? &memory->hooks : NULL;
	return config;
}

struct iova_constraints test_constraints(uint64_t length)
{
	struct iova_constraints c;

	memset(&c, 0, sizeof(c));
	c.struct_size = sizeof(c);
	c.length = length;
	return c;
}

struct iova_resv test_resv(uint64_t start, uint64_t last, uint32_t type, const void *owner)
{
	struct iova_resv resv;

	memset(&resv, 0, sizeof(resv));
	resv.struct_size = sizeof(resv);
	resv.extent = (struct iova_extent){ start, last };
	resv.type = type;
	resv.owner = owner;
	resv.origin = "test";
	return resv;
}

void test_append(struct test_text *text, const void *bytes, size_t count)
{
	if (text->size + count + 1 > text->room) {
		text->room = (text->size + count) * 2 + 256;
		text->data = realloc(text->data, text->room);
		if (!text->data)
			abort();
	}
	memcpy(text->data + text->size, bytes, count);
	text->size += count;
	text->data[text->size] = 0;
}

void test_print(void *ctx, const char *text)
{
	test_append(ctx, text, strlen(text));
}

void test_text_free(struct test_text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

int test_write(void *ctx, const void *bytes, size_t count)
{
	test_append(ctx, bytes, count);
	return 0;
}

int test_read(void *ctx, void *bytes, size_t count)
{
	struct test_reader *r = ctx;

	if (count > r->size - r->at)
		return TEST_READ_END;
	if (count)
		memcpy(bytes, r->data + r->at, count);
	r->at += count;
	return 0;
}

static int state_segment(void *ctx, const struct iova_segment *s)
{
	char line[128];

	snprintf(line, sizeof(line), "%" PRIx64 "-%" PRIx64 " %u %p\n", s->extent.start, s->extent.last, s->state,
		 s->cookie);
	test_print(ctx, line);
	return 0;
}

static int state_resv(void *ctx, const struct iova_resv *r)
{
	char line[192];

	snprintf(line, sizeof(line), "resv %" PRIx64 "-%" PRIx64 " %u %u %p %s\n", r->extent.start, r->extent.last,
		 r->type, r->prot, r->owner, r->origin);
	test_print(ctx, line);
	return 0;
}

char *test_state(struct iova_space *space)
{
	struct test_text text = { 0 };
	struct iova_stats s = { .struct_size = sizeof(s) };
	char line[256];
	int rc = iova_walk(space, state_segment, &text);

	if (!rc)
		rc = iova_resv_walk(space, state_resv, &text);
	if (!rc)
		rc = iova_stats_get(space, &s);
	snprintf(line, sizeof(line), "%d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", rc,
		 s.free_granules + s.cached_granules, s.live_granules, s.quarantined_granules, s.reserved_granules,
		 s.guard_granules, s.free_extents);
	test_print(&text, line);
	return text.data;
}
