/* Base64 there and back through look-up tables: byte loads, shifts, byte stores. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static int8_t reverse[256];

static size_t encode(const uint8_t *in, size_t n, char *out) {
    char *o = out;
    size_t i = 0;
    for (; i + 2 < n; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *o++ = DIGITS[three >> 18];
        *o++ = DIGITS[three >> 12 & 63];
        *o++ = DIGITS[three >> 6 & 63];
        *o++ = DIGITS[three & 63];
    }
    if (i < n) {
        uint32_t rest = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0);
        *o++ = DIGITS[rest >> 18];
        *o++ = DIGITS[rest >> 12 & 63];
        *o++ = i + 1 < n ? DIGITS[rest >> 6 & 63] : '=';
        *o++ = '=';
    }
    return (size_t)(o - out);
}

static size_t decode(const char *in, size_t n, uint8_t *out) {
    uint8_t *o = out;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = reverse[(uint8_t)in[i]];
        if (digit < 0) break;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *o++ = (uint8_t)(bits >> have);
        }
    }
    return (size_t)(o - out);
}

int main(void) {
    const size_t n = 1000003;
    uint8_t *data = malloc(n), *back = malloc(n + 4);
    char *text = malloc(n / 3 * 4 + 8);
    if (!data || !back || !text) return 1;
    memset(reverse, -1, sizeof reverse);
    for (int i = 0; i < 64; i++) reverse[(uint8_t)DIGITS[i]] = (int8_t)i;
    uint32_t sum = 0;
    for (int round = 0; round < 120; round++) {
        for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(i * (unsigned)(round + 7) >> 3);
        size_t length = encode(data, n, text);
        if (decode(text, length, back) != n || memcmp(data, back, n) != 0) return 1;
        for (size_t i = 0; i < length; i += 97) sum = sum * 33 + (uint8_t)text[i];
    }
    printf("checksum %08x\n", (unsigned)sum);
    free(data);
    free(back);
    free(text);
    return 0;
}
