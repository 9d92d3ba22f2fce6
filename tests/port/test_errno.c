/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Every error number against Linux's own, on whatever port this is linked with. */
#include <errno.h>
#include <limits.h>

#include "suite.h"

#include <iova/error.h>

static const struct {
	int error, platform;
} pairs[] = {
	{ IOVA_ERR_PERM, EPERM },	 { IOVA_ERR_NOENT, ENOENT },	     { IOVA_ERR_IO, EIO },
	{ IOVA_ERR_AGAIN, EAGAIN },	 { IOVA_ERR_NOMEM, ENOMEM },	     { IOVA_ERR_BUSY, EBUSY },
	{ IOVA_ERR_EXIST, EEXIST },	 { IOVA_ERR_NODEV, ENODEV },	     { IOVA_ERR_INVAL, EINVAL },
	{ IOVA_ERR_NOSPC, ENOSPC },	 { IOVA_ERR_CORRUPT, EBADMSG },	     { IOVA_ERR_OVERFLOW, EOVERFLOW },
	{ IOVA_ERR_NOTSUP, EOPNOTSUPP }, { IOVA_ERR_ADDRINUSE, EADDRINUSE }, { IOVA_ERR_TIMEDOUT, ETIMEDOUT },
	{ IOVA_ERR_QUOTA, EDQUOT },
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static int platform_of(int error)
{
	for (size_t i = 0; i < PAIRS; i++)
		if (pairs[i].error == error)
			return pairs[i].platform;
	return EIO;
}

static void test_to_errno_is_the_platforms(void **state)
{
	(void)state;
	for (int error = -300; error < 0; error++)
		assert_int_equal(iova_to_errno(error), platform_of(error));
	assert_int_equal(iova_to_errno(INT_MIN), EIO);
}

static void test_to_errno_of_success_is_zero(void **state)
{
	(void)state;
	assert_int_equal(iova_to_errno(IOVA_OK), 0);
	assert_int_equal(iova_to_errno(1), 0);
	assert_int_equal(iova_to_errno(INT_MAX), 0);
}

static void test_strerror_tells_every_error_apart(void **state)
{
	const char *unknown = iova_strerror(1);

	(void)state;
	assert_string_equal(iova_strerror(INT_MIN), unknown);
	assert_string_not_equal(iova_strerror(IOVA_OK), unknown);
	for (size_t i = 0; i < PAIRS; i++) {
		const char *text = iova_strerror(pairs[i].error);

		assert_string_not_equal(text, unknown);
		assert_string_not_equal(text, iova_strerror(IOVA_OK));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text, iova_strerror(pairs[j].error));
	}
	for (int error = -300; error < 0; error++)
		if (platform_of(error) == EIO && error != IOVA_ERR_IO)
			assert_string_equal(iova_strerror(error), unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_errno_is_the_platforms),
		cmocka_unit_test(test_to_errno_of_success_is_zero),
		cmocka_unit_test(test_strerror_tells_every_error_apart),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
