/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include <iova/backend.h>
#include <iova/error.h>
#include <iova/firmware.h>

/* What of the text has not been read yet; at <= end always. */
struct sysfs_cursor {
	const char *at, *end;
	size_t line; /* the one that *at is in, from 1 */
};

/* What is wrong with the line that the cursor is in, or NULL. */
typedef const char *sysfs_fault;

static int next_is(const struct sysfs_cursor *cursor, char byte)
{
	return cursor->at < cursor->end && *cursor->at == byte;
}

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static sysfs_fault take_address(struct sysfs_cursor *cursor, uint64_t *address)
{
	uint64_t value = 0;
	unsigned digits = 0;

	if (cursor->end - cursor->at < 2 || cursor->at[0] != '0' || cursor->at[1] != 'x')
		return "an address that does not begin with 0x";
	cursor->at += 2;
	while (cursor->at < cursor->end && digit_value(*cursor->at) >= 0) {
		if (++digits > 16) /* the 17th would push the first out */
			return "an address of more than 16 digits";
		value = value << 4 | (uint64_t)digit_value(*cursor->at++);
	}
	if (!digits)
		return "an address without digits";
	if (!next_is(cursor, ' '))
		return "an address that no space follows";
	cursor->at++;
	*address = value;
	return NULL;
}

/* Takes the word if it is what the line ends with. */
static int take_last_word(struct sysfs_cursor *cursor, const char *word)
{
	const char *at = cursor->at;

	while (*word && at < cursor->end && *at == *word)
		at++, word++;
	if (*word || at == cursor->end || *at != '\n')
		return 0;
	cursor->at = at;
	return 1;
}

static sysfs_fault take_type(struct sysfs_cursor *cursor, struct iova_resv *resv)
{
	static const uint32_t types[] = { IOVA_RESV_DIRECT, IOVA_RESV_DIRECT_RELAXABLE, IOVA_RESV_RESERVED,
					  IOVA_RESV_MSI };
	const char *at;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (take_last_word(cursor, iova_resv_type_name(types[i]))) {
			resv->type = types[i];
			if (types[i] == IOVA_RESV_DIRECT || types[i] == IOVA_RESV_DIRECT_RELAXABLE)
				resv->prot = IOVA_READ | IOVA_WRITE;
			else
				resv->prot = 0;
			return NULL;
		}
	for (at = cursor->at; at < cursor->end; at++)
		if (*at == '\n')
			return "a type that is none of direct, direct-relaxable, reserved, msi";
	return "the text ends inside the line";
}

static sysfs_fault take_line(struct sysfs_cursor *cursor, struct iova_resv *resv)
{
	sysfs_fault fault = take_address(cursor, &resv->extent.start);

	if (!fault)
		fault = take_address(cursor, &resv->extent.last);
	if (!fault && resv->extent.last < resv->extent.start)
		fault = "a region whose last byte lies before its first";
	if (!fault)
		fault = take_type(cursor, resv);
	if (fault)
		return fault;
	cursor->at++; /* the newline, which take_type has seen */
	cursor->line++;
	return NULL;
}

/* Appends text to the string in buffer[0 .. bytes), as far as it fits. */
static void append(char *buffer, size_t bytes, const char *text)
{
	size_t used = 0;

	while (buffer[used])
		used++;
	while (*text && used + 1 < bytes)
		buffer[used++] = *text++;
	buffer[used] = 0;
}

/* Nothing of the line itself is shown: its bytes may be anything. */
static int report_fault(const struct iova_firmware_reader *reader, size_t line, sysfs_fault fault)
{
	char digits[sizeof(line) * 3 + 1], text[160];
	char *digit = digits + sizeof(digits) - 1;

	if (!reader->report)
		return IOVA_ERR_CORRUPT;
	*digit = 0;
	do
		*--digit = (char)('0' + line % 10);
	while (line /= 10);
	text[0] = 0;
	append(text, sizeof(text), "reserved_regions line ");
	append(text, sizeof(text), digit);
	append(text, sizeof(text), ": ");
	append(text, sizeof(text), fault);
	append(text, sizeof(text), "\n");
	reader->report(reader->report_ctx, text);
	return IOVA_ERR_CORRUPT;
}

static int check_reader(const struct iova_firmware_reader *reader)
{
	const unsigned char *raw = (const unsigned char *)reader;
	size_t i;

	if (!reader || reader->struct_size < sizeof(*reader) || !reader->visit)
		return IOVA_ERR_INVAL;
	for (i = sizeof(*reader); i < reader->struct_size; i++)
		if (raw[i])
			return IOVA_ERR_NOTSUP;
	return 0;
}

/* One pass over the text. The verdict of an earlier pass is not relied on: the
 * text may be memory that somebody else can write to. */
static int read_lines(const struct iova_firmware_reader *reader, const char *text, size_t bytes, int visiting)
{
	struct sysfs_cursor cursor = { text, text + bytes, 1 };
	struct iova_resv resv;
	sysfs_fault fault;
	int result = 0;

	resv.struct_size = sizeof(resv);
	resv.owner = reader->owner;
	resv.origin = "sysfs";
	while (cursor.at < cursor.end && !result) {
		fault = take_line(&cursor, &resv);
		if (fault)
			return report_fault(reader, cursor.line, fault);
		if (visiting)
			result = reader->visit(reader->ctx, &resv);
	}
	return result;
}

int iova_firmware_sysfs(const struct iova_firmware_reader *reader, const char *text, size_t bytes)
{
	int result = check_reader(reader);

	if (result)
		return result;
	if (!text)
		return bytes ? IOVA_ERR_INVAL : 0;
	result = read_lines(reader, text, bytes, 0);
	return result ? result : read_lines(reader, text, bytes, 1);
}
