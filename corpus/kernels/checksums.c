/* CRC-32 by table, Adler-32 and FNV-1a over the same bytes: three dependent chains a byte long. */
#include <stdint.h>
#include <stdio.h>

static uint32_t table[256];
static uint8_t data[1 << 20];

static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n) {
    crc = ~crc;
    while (n--) crc = table[(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

static uint32_t adler32(uint32_t adler, const uint8_t *p, size_t n) {
    uint32_t a = adler & 0xffff, b = adler >> 16;
    while (n) {
        size_t run = n < 5552 ? n : 5552;
        n -= run;
        while (run--) {
            a += *p++;
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *p, size_t n) {
    while (n--) hash = (hash ^ *p++) * 0x100000001b3ull;
    return hash;
}

int main(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (uint32_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 2654435761u >> 24);
    uint32_t crc = 0, adler = 1;
    uint64_t fnv = 0xcbf29ce484222325ull;
    for (int round = 0; round < 100; round++) {
        crc = crc32(crc, data, sizeof data);
        adler = adler32(adler, data, sizeof data);
        fnv = fnv1a(fnv, data, sizeof data);
    }
    printf("crc32 %08x, adler32 %08x, fnv1a %016llx\n", (unsigned)crc, (unsigned)adler,
           (unsigned long long)fnv);
    return 0;
}
