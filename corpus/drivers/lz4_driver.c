/* LZ4 round trips: fast, high compression and frames. What the fast mode packs depends on the
   width of a pointer, so sizes are printed for the modes where they do not. */
#include <stdio.h>
#include <stdlib.h>

#include "data.h"
#include "lz4.h"
#include "lz4frame.h"
#include "lz4hc.h"

static uint8_t *in, *packed, *back;
static int bound;

static int check(const char *name, int n, int size, int length) {
    int same = size > 0 && length == n && memcmp(in, back, (size_t)n) == 0;
    printf("%s: %d bytes, %016llx, %s\n", name, n,
           (unsigned long long)data_hash(back, (size_t)n), same ? "same" : "DIFFERENT");
    return !same;
}

int main(void) {
    const int n = 8 << 20;
    bound = LZ4_compressBound(n) + 65536;
    in = malloc((size_t)n);
    packed = malloc((size_t)bound);
    back = malloc((size_t)n);
    if (!in || !packed || !back) return 1;
    int bad = 0;
    printf("lz4 %s\n", LZ4_versionString());
    for (int acceleration = 1; acceleration <= 16; acceleration *= 2) {
        data_fill(in, (size_t)n, (uint32_t)acceleration);
        int size = LZ4_compress_fast((char *)in, (char *)packed, n, bound, acceleration);
        int length = LZ4_decompress_safe((char *)packed, (char *)back, size, n);
        bad |= check("fast", n, size, length);
    }
    for (int level = 3; level <= 9; level += 3) {
        int part = level < 9 ? n / 2 : n / 4;
        data_fill(in, (size_t)part, (uint32_t)level);
        int size = LZ4_compress_HC((char *)in, (char *)packed, part, bound, level);
        int length = LZ4_decompress_safe((char *)packed, (char *)back, size, part);
        bad |= check("high", part, size, length);
        printf("level %d: %d, packed %016llx\n", level, size,
               (unsigned long long)data_hash(packed, (size_t)size));
    }
    for (int round = 0; round < 20; round++) {
        data_fill(in, (size_t)n, 77);
        int size = LZ4_compress_default((char *)in, (char *)packed, n, bound);
        for (int again = 0; again < 5; again++)
            if (LZ4_decompress_safe((char *)packed, (char *)back, size, n) != n) return 1;
    }
    LZ4F_preferences_t how = LZ4F_INIT_PREFERENCES;
    how.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    how.frameInfo.blockSizeID = LZ4F_max256KB;
    data_fill(in, (size_t)n, 78);
    size_t size = LZ4F_compressFrame(packed, (size_t)bound, in, (size_t)n, &how);
    LZ4F_dctx *d = NULL;
    if (LZ4F_isError(size) || LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return 1;
    size_t read = size, length = (size_t)n;
    size_t left = LZ4F_decompress(d, back, &length, packed, &read, NULL);
    bad |= check("frame", n, (int)size, LZ4F_isError(left) ? -1 : (int)length);
    LZ4F_freeDecompressionContext(d);
    free(in);
    free(packed);
    free(back);
    return bad;
}
