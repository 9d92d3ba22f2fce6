/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Firmware that keeps a range for a device. In a machine, tells its DMAR table
 * in hexadecimal digits; outside, adds to such a table a Reserved Memory Region
 * Reporting structure (VT-d specification, 8.4) for the function 00:01.0.
 *
 *   machine_rmrr DEVICE dump      (as init calls it, inside)
 *   machine_rmrr add < digits > table
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TABLE_MOST 4096

/* Offsets in the header that all ACPI tables have. */
#define ACPI_LENGTH	  4
#define ACPI_CHECKSUM	  9
#define ACPI_OEM_REVISION 24
#define ACPI_HEADER	  36

/* One region, one scope of one device, whose path is one step. */
static const uint8_t rmrr[] = {
	1,    0,    32,	  0,		    /* type, length of it all */
	0,    0,    0,	  0,		    /* reserved, segment */
	0x00, 0x00, 0x00, 0x03, 0, 0, 0, 0, /* first byte */
	0xff, 0xff, 0x00, 0x03, 0, 0, 0, 0, /* last byte */
	1,    8,    0,	  0,	0, 0,	    /* scope: an endpoint, length, -, -, -, bus 0 */
	1,    0,			    /* device 1, function 0 */
};

static int dump(void)
{
	FILE *file = fopen("/sys/firmware/acpi/tables/DMAR", "rb");
	int byte, column = 0;

	if (!file) {
		perror("DMAR");
		return 1;
	}
	while ((byte = getc(file)) != EOF) {
		printf("%s%02x", column % 16 ? "" : "dmar: ", (unsigned)byte);
		if (++column % 16 == 0)
			putchar('\n');
	}
	putchar('\n');
	fclose(file);
	return column < ACPI_HEADER;
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
	int i;

	for (i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> i * 8);
}

/* Linux takes a table in place of the firmware's only where its OEM revision
 * is higher. */
static int add(void)
{
	uint8_t table[TABLE_MOST], sum = 0;
	uint32_t length = 0, i;
	unsigned byte;

	while (length < TABLE_MOST - sizeof(rmrr) && scanf("%2x", &byte) == 1)
		table[length++] = (uint8_t)byte;
	if (length < ACPI_HEADER || memcmp(table, "DMAR", 4) || get32(table + ACPI_LENGTH) != length) {
		fprintf(stderr, "rmrr: this is no DMAR table\n");
		return 1;
	}
	memcpy(table + length, rmrr, sizeof(rmrr));
	length += sizeof(rmrr);
	put32(table + ACPI_LENGTH, length);
	put32(table + ACPI_OEM_REVISION, get32(table + ACPI_OEM_REVISION) + 1);
	table[ACPI_CHECKSUM] = 0;
	for (i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	table[ACPI_CHECKSUM] = (uint8_t)-sum;
	return fwrite(table, 1, length, stdout) != length;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[2], "dump"))
		return dump();
	return argc == 2 && !strcmp(argv[1], "add") ? add() : 2;
}
