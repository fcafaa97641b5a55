/* zstd round trips: one-shot at several levels, then streamed in odd pieces. */
#include <stdio.h>
#include <stdlib.h>

#include "data.h"
#include "zstd.h"

static int fail(const char *what, size_t code) {
    printf("%s: %s\n", what, ZSTD_getErrorName(code));
    return 1;
}

static int one_shot(int level, size_t n) {
    size_t bound = ZSTD_compressBound(n);
    uint8_t *in = malloc(n), *packed = malloc(bound), *back = malloc(n);
    if (!in || !packed || !back) return 1;
    data_fill(in, n, (uint32_t)level + 40);
    size_t size = ZSTD_compress(packed, bound, in, n, level);
    if (ZSTD_isError(size)) return fail("compress", size);
    size_t length = ZSTD_decompress(back, n, packed, size);
    if (ZSTD_isError(length)) return fail("decompress", length);
    int same = length == n && memcmp(in, back, n) == 0;
    printf("level %2d: %zu -> %zu, packed %016llx, %s\n", level, n, size,
           (unsigned long long)data_hash(packed, size), same ? "same" : "DIFFERENT");
    free(in);
    free(packed);
    free(back);
    return !same;
}

static int streamed(size_t n) {
    uint8_t *in = malloc(n), *packed = malloc(ZSTD_compressBound(n) + 4096), *back = malloc(n);
    ZSTD_CStream *c = ZSTD_createCStream();
    ZSTD_DStream *d = ZSTD_createDStream();
    if (!in || !packed || !back || !c || !d) return 1;
    data_fill(in, n, 99);
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 5);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_outBuffer out = {packed, ZSTD_compressBound(n) + 4096, 0};
    for (size_t at = 0; at < n;) {
        size_t piece = 1 + at * 7 % 30011;
        if (piece > n - at) piece = n - at;
        ZSTD_inBuffer part = {in + at, piece, 0};
        at += piece;
        ZSTD_EndDirective how = at == n ? ZSTD_e_end : at % 3 == 0 ? ZSTD_e_flush : ZSTD_e_continue;
        size_t left;
        do {
            left = ZSTD_compressStream2(c, &out, &part, how);
            if (ZSTD_isError(left)) return fail("stream", left);
        } while (part.pos < part.size || (how != ZSTD_e_continue && left != 0));
    }
    ZSTD_inBuffer packed_in = {packed, out.pos, 0};
    ZSTD_outBuffer plain = {back, n, 0};
    size_t left = 1;
    while (left != 0 && packed_in.pos < packed_in.size) {
        left = ZSTD_decompressStream(d, &plain, &packed_in);
        if (ZSTD_isError(left)) return fail("unstream", left);
    }
    int same = plain.pos == n && memcmp(in, back, n) == 0;
    packed[out.pos / 2] ^= 0x40;
    size_t broken = ZSTD_decompress(back, n, packed, out.pos);
    printf("streamed: %zu -> %zu, %s; one bit flipped: %s\n", n, out.pos,
           same ? "same" : "DIFFERENT", ZSTD_isError(broken) ? "noticed" : "UNNOTICED");
    ZSTD_freeCStream(c);
    ZSTD_freeDStream(d);
    free(in);
    free(packed);
    free(back);
    return !same;
}

int main(void) {
    printf("zstd %s\n", ZSTD_versionString());
    int bad = one_shot(1, 16 << 20) | one_shot(3, 8 << 20) | one_shot(7, 4 << 20) |
              one_shot(13, 1 << 20) | one_shot(19, 1 << 19) | one_shot(-5, 8 << 20);
    return bad | streamed(6 << 20);
}
