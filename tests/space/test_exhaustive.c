/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Every sequence of up to 6 calls on an aperture of 8 granules, equal states
 * merged: each state is reached by a shortest path, which is replayed on a new
 * space before each call that may change it. A second test merges nothing and
 * has a smaller alphabet, so that spaces with a longer past are seen too.
 *
 * How many states there are at each depth does not depend on where the library
 * places what it is asked for, because alloc_at reaches each of them as soon.
 * It is pinned, and derived twice more: by the model alone, and by counting.
 *
 * Under tools that slow a program down, where IOVA_TEST_OPS is below 10^6,
 * sequences are shorter, and each says so.
 */
#include "oracle.h"
#include "space_suite.h"

#define GRANULES 8
#define DEPTH	 6
#define RESVS	 4
#define LENGTHS	 5

enum kind { ALLOC, ALLOC_AT, FREE, FREE_BROKEN, RESERVE, UNRESERVE };

struct call {
	enum kind kind;
	uint64_t granule, granules, align, limit; /* limit: a number of granules, 0: none */
	int resv;
};

static const uint64_t lengths[LENGTHS] = { 1, 2, 3, 5, 8 };
static const uint64_t pinned[DEPTH + 1] = { 1, 30, 230, 730, 1093, 816, 308 };

/* In granules: some overlap, one reaches out of the aperture (unless it ends
 * where the world does), one is a byte. */
static const struct {
	uint64_t first, last, owner;
	uint32_t type;
} resvs[RESVS] = { { 2, 3, 0, IOVA_RESV_MSI },
		   { 3, 5, 1, IOVA_RESV_RESERVED },
		   { 7, 9, 1, IOVA_RESV_DIRECT },
		   { 0, 0, 2, IOVA_RESV_POLICY } };

struct variant {
	uint64_t base;
	uint32_t placement, flags;
	bool library; /* else the model is asked alone */
};

#define MOST_CALLS 400

struct node {
	int parent;
	struct call call;
	int depth;
};

struct search {
	const struct variant *v;
	struct call alphabet[MOST_CALLS];
	size_t calls;
	struct node *node;
	size_t nodes;
	unsigned char seen[6561 * 16]; /* 3^8 fillings times 2^4 reservations */
	uint64_t counts[DEPTH + 1];
	size_t transitions;
	int deepest;
};

/* The space and the model, side by side. */
struct pair {
	struct iova_space *space;
	struct oracle model;
	struct test_memory memory;
};

static void alphabet_allocs(struct search *s)
{
	static const uint64_t limits[] = { 0, 6, 3 };

	for (size_t n = 0; n < LENGTHS; n++) {
		for (uint64_t align = 1; align <= 4; align++)
			for (size_t l = 0; l < 3; l++)
				s->alphabet[s->calls++] = (struct call){
					.kind = ALLOC, .granules = lengths[n], .align = align, .limit = limits[l]
				};
		for (uint64_t at = 0; at < GRANULES; at++)
			s->alphabet[s->calls++] =
				(struct call){ .kind = ALLOC_AT, .granule = at, .granules = lengths[n] };
	}
}

/* Frees of every start and length: what is live now, and everything wrong. */
static void alphabet_fill(struct search *s)
{
	s->calls = 0;
	alphabet_allocs(s);
	for (uint64_t at = 0; at <= GRANULES; at++) {
		for (uint64_t n = 0; n <= GRANULES; n++)
			s->alphabet[s->calls++] = (struct call){ .kind = FREE, .granule = at, .granules = n };
		s->alphabet[s->calls++] = (struct call){ .kind = FREE_BROKEN, .granule = at, .granules = 1 };
	}
	for (int r = 0; r < RESVS; r++) {
		s->alphabet[s->calls++] = (struct call){ .kind = RESERVE, .resv = r };
		s->alphabet[s->calls++] = (struct call){ .kind = UNRESERVE, .resv = r };
	}
	assert_true(s->calls <= MOST_CALLS);
}

static void pair_open(struct pair *p, const struct variant *v)
{
	struct iova_space_config config;

	test_memory_init(&p->memory);
	config = test_config(v->base, v->base + (GRANULES * PAGE - 1), v->flags, &p->memory);
	config.placement = v->placement;
	oracle_init(&p->model, &config);
	p->space = NULL;
	if (v->library)
		assert_ok(iova_space_create(&config, &p->space));
}

static void pair_close(struct pair *p)
{
	iova_space_destroy(p->space);
	oracle_destroy(&p->model);
	assert_true(test_memory_clean(&p->memory));
}

static struct iova_resv resv_of(const struct variant *v, int r)
{
	static const char owner[3];
	uint64_t start = v->base + resvs[r].first * PAGE, last = v->base + resvs[r].last * PAGE;
	struct iova_resv resv = test_resv(start, last, resvs[r].type, &owner[resvs[r].owner]);

	if (last < start) /* beyond 2^64 */
		resv.extent.last = UINT64_MAX;
	return resv;
}

static const char *apply_alloc(struct pair *p, const struct variant *v, const struct call *call)
{
	struct iova_constraints c = test_constraints(call->granules * PAGE);
	struct oracle_fit fit;
	uint64_t iova = 0;
	int rc;

	c.align = call->align * PAGE;
	c.limit = call->limit ? v->base + call->limit * PAGE - 1 : UINT64_MAX;
	if (!p->space) {
		rc = oracle_constrained_verdict(&p->model, &c, &fit).error;
		iova = v->placement == IOVA_PLACE_BOTTOM_UP ? fit.lowest : fit.highest;
	} else if (call->align == 3) {
		rc = iova_alloc_constrained(p->space, &c, &iova);
	} else {
		rc = iova_alloc(p->space, c.length, c.align, c.limit, &iova);
	}
	return oracle_alloc_constrained(&p->model, &c, rc, iova);
}

/* The model alone takes what it would not object to. */
static int first_right(struct pair *p, const struct call *call, uint64_t iova, uint64_t length,
		       const struct iova_resv *resv)
{
	static const int errors[] = {
		0, IOVA_ERR_NOENT, IOVA_ERR_INVAL, IOVA_ERR_OVERFLOW, IOVA_ERR_ADDRINUSE, IOVA_ERR_EXIST
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct oracle trial;
		const char *wrong = NULL;

		oracle_copy(&trial, &p->model);
		if (call->kind == ALLOC_AT)
			wrong = oracle_alloc_at(&trial, iova, length, NULL, errors[i]);
		else if (call->kind == RESERVE)
			wrong = oracle_reserve(&trial, resv, errors[i]);
		else if (call->kind == UNRESERVE)
			wrong = oracle_unreserve(&trial, resv, errors[i]);
		else
			wrong = oracle_free(&trial, iova, length, errors[i]);
		oracle_destroy(&trial);
		if (!wrong)
			return errors[i];
	}
	fail_msg("the model accepts no answer");
	return 0;
}

static const char *apply(struct pair *p, const struct variant *v, const struct call *call)
{
	uint64_t iova = v->base + call->granule * PAGE, length = call->granules * PAGE;
	struct iova_resv resv = resv_of(v, call->resv);
	int rc;

	switch (call->kind) {
	case ALLOC:
		return apply_alloc(p, v, call);
	case ALLOC_AT:
		rc = p->space ? iova_alloc_at(p->space, iova, length, NULL) : first_right(p, call, iova, length, NULL);
		return oracle_alloc_at(&p->model, iova, length, NULL, rc);
	case RESERVE:
		rc = p->space ? iova_reserve(p->space, &resv) : first_right(p, call, 0, 0, &resv);
		return oracle_reserve(&p->model, &resv, rc);
	case UNRESERVE:
		rc = p->space ? iova_unreserve(p->space, &resv) : first_right(p, call, 0, 0, &resv);
		return oracle_unreserve(&p->model, &resv, rc);
	case FREE_BROKEN:
		iova++;
		break;
	case FREE:
		break;
	}
	rc = p->space ? iova_free(p->space, iova, length) : first_right(p, call, iova, length, NULL);
	return oracle_free(&p->model, iova, length, rc);
}

/* Base 3 for each granule: not live, the start of a range, the rest of one;
 * times which reservations there are. */
static size_t state_key(const struct pair *p, const struct variant *v)
{
	unsigned digit[GRANULES] = { 0 };
	size_t key = 0, resv_bits = 0;

	for (size_t i = 0; i < p->model.lives; i++) {
		uint64_t first = p->model.live[i].first - v->base / PAGE, last = p->model.live[i].last - v->base / PAGE;

		for (uint64_t g = first; g <= last; g++)
			digit[g] = g == first ? 1 : 2;
	}
	for (int g = 0; g < GRANULES; g++)
		key = key * 3 + digit[g];
	for (size_t i = 0; i < p->model.resvs; i++)
		for (int r = 0; r < RESVS; r++)
			if (resv_of(v, r).extent.start == p->model.resv[i].extent.start)
				resv_bits |= (size_t)1 << r;
	return key * 16 + resv_bits;
}

static void describe(const struct search *s, int node, const struct call *call, const char *wrong)
{
	static const char *names[] = { "alloc", "alloc_at", "free", "broken free", "reserve", "unreserve" };
	const struct call *path[DEPTH + 1];
	int length = 0;

	if (call)
		path[length++] = call;
	for (; node > 0; node = s->node[node].parent)
		path[length++] = &s->node[node].call;
	while (length--)
		printf("%s granule %d granules %d align %d limit %d resv %d\n", names[path[length]->kind],
		       (int)path[length]->granule, (int)path[length]->granules, (int)path[length]->align,
		       (int)path[length]->limit, path[length]->resv);
	fail_msg("placement %u flags %u: %s", s->v->placement, s->v->flags, wrong);
}

static void replay(struct search *s, int node, struct pair *p)
{
	const char *wrong;

	if (node <= 0)
		return;
	replay(s, s->node[node].parent, p);
	wrong = apply(p, s->v, &s->node[node].call);
	if (wrong)
		describe(s, node, NULL, wrong);
}

static void arrive(struct search *s, int parent, const struct call *call, int depth, const struct pair *p)
{
	size_t key = state_key(p, s->v);

	if (s->seen[key])
		return;
	s->seen[key] = 1;
	s->counts[depth]++;
	s->node[s->nodes++] = (struct node){ parent, call ? *call : (struct call){ 0 }, depth };
}

/* The calls that change nothing here once more, behind one another; nothing that came in
 * between can have mended what one of them broke inside. */
static void change_nothing(struct search *s, int node, const bool *changes)
{
	const char *wrong = NULL;
	struct pair p;

	pair_open(&p, s->v);
	replay(s, node, &p);
	for (size_t i = 0; i < s->calls && !wrong; i++)
		wrong = changes[i] ? NULL : apply(&p, s->v, &s->alphabet[i]);
	if (!wrong)
		wrong = oracle_compare(&p.model, p.space);
	if (wrong)
		describe(s, node, NULL, wrong);
	pair_close(&p);
}

/* All that can be seen is compared behind each call. iova_check comes behind those that
 * change something, and once for the others. */
static void expand(struct search *s, int node)
{
	bool changes[MOST_CALLS];
	struct pair p;
	size_t before;

	pair_open(&p, s->v);
	replay(s, node, &p);
	before = state_key(&p, s->v);
	for (size_t i = 0; i < s->calls; i++) {
		const char *wrong = apply(&p, s->v, &s->alphabet[i]);

		changes[i] = state_key(&p, s->v) != before;
		if (!wrong && p.space)
			wrong = oracle_compare_seen(&p.model, p.space);
		if (!wrong && p.space && changes[i])
			wrong = oracle_check(p.space);
		if (wrong)
			describe(s, node, &s->alphabet[i], wrong);
		s->transitions++;
		arrive(s, node, &s->alphabet[i], s->node[node].depth + 1, &p);
		if (!changes[i])
			continue;
		pair_close(&p);
		pair_open(&p, s->v);
		replay(s, node, &p);
	}
	pair_close(&p);
	if (s->v->library)
		change_nothing(s, node, changes);
}

/* Each call more takes some ten times as long: the slower the tool, the fewer. */
static int depth_here(void)
{
	if (!test_slow())
		return DEPTH;
	return test_env("IOVA_TEST_OPS", 0) < 200000 ? 3 : 4;
}

/* Returns the depth up to which counts are whole. */
static int explore(const struct variant *v, uint64_t counts[DEPTH + 1])
{
	int deepest;

	struct search *s = calloc(1, sizeof(*s));
	struct pair p;

	assert_non_null(s);
	s->v = v;
	s->node = calloc(sizeof(s->seen), sizeof(*s->node));
	assert_non_null(s->node);
	alphabet_fill(s);
	pair_open(&p, v);
	arrive(s, -1, NULL, 0, &p);
	pair_close(&p);
	s->deepest = depth_here();
	for (size_t n = 0; n < s->nodes && s->node[n].depth < s->deepest; n++)
		expand(s, (int)n);
	if (s->deepest < DEPTH)
		printf("up to %d calls, not %d\n", s->deepest, DEPTH);
	printf("%s placement %u flags %u base %llx: %zu calls, %zu transitions, states by depth:",
	       v->library ? "library" : "model alone", v->placement, v->flags, (unsigned long long)v->base, s->calls,
	       s->transitions);
	for (int d = 0; d <= DEPTH; d++) {
		printf(" %llu", (unsigned long long)s->counts[d]);
		counts[d] = s->counts[d];
	}
	printf("\n");
	deepest = s->deepest;
	free(s->node);
	free(s);
	return deepest;
}

/* How many ways there are to lay this many ranges side by side into granules
 * from at on, none over a hole. */
static uint64_t layings(unsigned holes, unsigned at, int ranges)
{
	uint64_t sum;

	if (at == GRANULES)
		return ranges == 0;
	sum = layings(holes, at + 1, ranges);
	for (int n = 0; n < LENGTHS && ranges; n++) {
		unsigned taken = ((1u << lengths[n]) - 1) << at;

		if (at + lengths[n] <= GRANULES && !(taken & holes))
			sum += layings(holes, at + (unsigned)lengths[n], ranges - 1);
	}
	return sum;
}

/* A state of so many ranges and reservations is reached by as many calls. */
static void states_by_counting(void **state)
{
	static const unsigned hole[RESVS] = { 0x0c, 0x38, 0x80, 0x01 };
	uint64_t counts[DEPTH + 1] = { 0 };

	(void)state;
	for (unsigned chosen = 0; chosen < 1u << RESVS; chosen++) {
		unsigned holes = 0;
		int reserved = 0;

		for (int r = 0; r < RESVS; r++) {
			if (!(chosen & 1u << r))
				continue;
			holes |= hole[r];
			reserved++;
		}
		for (int d = reserved; d <= DEPTH; d++)
			counts[d] += layings(holes, 0, d - reserved);
	}
	assert_memory_equal(counts, pinned, sizeof(pinned));
}

static void explore_pinned(const struct variant *v)
{
	uint64_t counts[DEPTH + 1];
	int deepest = explore(v, counts);

	assert_memory_equal(counts, pinned, (size_t)(deepest + 1) * sizeof(pinned[0]));
}

static void states_by_the_model_alone(void **state)
{
	struct variant v = { 0, IOVA_PLACE_TOP_DOWN, IOVA_SPACE_TRACKED, false };

	(void)state;
	explore_pinned(&v);
	v.placement = IOVA_PLACE_BOTTOM_UP;
	explore_pinned(&v);
}

static void every_sequence(uint64_t base, uint32_t placement, uint32_t flags)
{
	struct variant v = { base, placement, flags, true };

	explore_pinned(&v);
}

static void every_sequence_top_down(void **state)
{
	(void)state;
	every_sequence(0, IOVA_PLACE_TOP_DOWN, IOVA_SPACE_TRACKED);
}

static void every_sequence_bottom_up(void **state)
{
	(void)state;
	every_sequence(0, IOVA_PLACE_BOTTOM_UP, IOVA_SPACE_TRACKED);
}

static void every_sequence_checked_at_the_top_of_the_world(void **state)
{
	(void)state;
	every_sequence(0 - GRANULES * PAGE, IOVA_PLACE_TOP_DOWN, IOVA_SPACE_CHECKED);
	every_sequence(0 - GRANULES * PAGE, IOVA_PLACE_BOTTOM_UP, IOVA_SPACE_CHECKED);
}

/* Nothing merged: the whole past counts. */
static const struct call small_alphabet[] = {
	{ .kind = ALLOC, .granules = 1, .align = 1 },
	{ .kind = ALLOC, .granules = 2, .align = 2 },
	{ .kind = ALLOC, .granules = 3, .align = 1 },
	{ .kind = ALLOC, .granules = 2, .align = 1, .limit = 6 },
	{ .kind = ALLOC_AT, .granule = 4, .granules = 1 },
	{ .kind = RESERVE, .resv = 1 },
	{ .kind = UNRESERVE, .resv = 1 },
};
#define SMALL	       (sizeof(small_alphabet) / sizeof(small_alphabet[0]))
#define FREES	       3 /* of the lowest, the second lowest and the highest live range */
#define UNMERGED_DEPTH 6

static bool small_call(const struct pair *p, unsigned choice, struct call *call)
{
	const struct oracle_live *live;
	size_t at = choice - SMALL;

	if (choice < SMALL) {
		*call = small_alphabet[choice];
		return true;
	}
	if (at >= p->model.lives || (at == 2 && p->model.lives < 3))
		return false;
	live = &p->model.live[at == 2 ? p->model.lives - 1 : at];
	*call = (struct call){ .kind = FREE, .granule = live->first, .granules = live->last - live->first + 1 };
	return true;
}

static void every_past_of_a_small_alphabet(void **state)
{
	struct variant v = { 0, IOVA_PLACE_TOP_DOWN, IOVA_SPACE_TRACKED, true };
	unsigned choice[UNMERGED_DEPTH] = { 0 }, total = SMALL + FREES;
	int depth = test_slow() ? 4 : UNMERGED_DEPTH;
	size_t sequences = 0, most = 1;

	(void)state;
	for (int d = 0; d < depth; d++)
		most *= total;
	for (size_t n = 0; n < most; n++) {
		struct pair p;
		size_t rest = n;
		bool whole = true;

		for (int d = depth - 1; d >= 0; d--, rest /= total)
			choice[d] = (unsigned)(rest % total);
		pair_open(&p, &v);
		for (int d = 0; d < depth && whole; d++) {
			struct call call;
			const char *wrong;

			whole = small_call(&p, choice[d], &call);
			wrong = whole ? apply(&p, &v, &call) : NULL;
			if (wrong)
				fail_msg("sequence %zu, call %d: %s", n, d, wrong);
		}
		if (whole) {
			const char *wrong = oracle_compare(&p.model, p.space);

			if (wrong)
				fail_msg("sequence %zu: %s", n, wrong);
			sequences++;
		}
		pair_close(&p);
	}
	printf("%zu sequences of %d calls, nothing merged\n", sequences, depth);
	assert_true(sequences > most / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_by_counting),
		cmocka_unit_test(states_by_the_model_alone),
		cmocka_unit_test(every_sequence_top_down),
		cmocka_unit_test(every_sequence_bottom_up),
		cmocka_unit_test(every_sequence_checked_at_the_top_of_the_world),
		cmocka_unit_test(every_past_of_a_small_alphabet),
	};

	return SUITE_RUN("exhaustive", tests);
}
