/* bzip2 round trips at several block sizes, and one damaged stream. */
#include <stdio.h>
#include <stdlib.h>

#include "bzlib.h"
#include "data.h"

/* The library calls this in builds without stdio when it finds itself inconsistent. */
void bz_internal_error(int code) {
    printf("internal error %d\n", code);
    exit(1);
}

static int round_trip(int blocks, unsigned n) {
    unsigned size = n + n / 100 + 600, length = n;
    char *in = malloc(n), *packed = malloc(size), *back = malloc(n);
    if (!in || !packed || !back) return 1;
    data_fill((uint8_t *)in, n, (uint32_t)blocks);
    int code = BZ2_bzBuffToBuffCompress(packed, &size, in, n, blocks, 0, 0);
    if (code == BZ_OK) code = BZ2_bzBuffToBuffDecompress(back, &length, packed, size, 0, 0);
    int same = code == BZ_OK && length == n && memcmp(in, back, n) == 0;
    printf("blocks %d: %u -> %u, packed %016llx, %s\n", blocks, n, size,
           (unsigned long long)data_hash((uint8_t *)packed, size), same ? "same" : "DIFFERENT");
    length = n;
    packed[size / 2] ^= 0x10;
    printf("damaged: code %d\n", BZ2_bzBuffToBuffDecompress(back, &length, packed, size, 0, 0));
    free(in);
    free(packed);
    free(back);
    return !same;
}

int main(void) {
    printf("bzip2 %s\n", BZ2_bzlibVersion());
    return round_trip(1, 1 << 20) | round_trip(5, 2 << 20) | round_trip(9, 5 << 20);
}
