/* Data for the round trips: the same bytes everywhere, of four tempers that a compressor treats
   differently. */
#ifndef CORPUS_DATA_H
#define CORPUS_DATA_H

#include <stdint.h>
#include <stddef.h>
#include <string.h>

static uint32_t data_next(uint32_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

/* Fills `out` with `n` bytes: text of a skewed vocabulary, records of slowly counting fields,
   noise, and long runs, in turns of a few kilobytes. */
static void data_fill(uint8_t *out, size_t n, uint32_t seed) {
    static const char *words[] = {"the",    "of",      "stack",  "memory", "table ",   "and",
                                  "return", "compile", "linear", "value",  "function", "register",
                                  "block",  "a",       "local",  "loop\n"};
    uint32_t x = seed | 1, counter = seed;
    size_t i = 0;
    while (i < n) {
        size_t end = i + 1024 + data_next(&x) % 8192;
        if (end > n) end = n;
        switch (data_next(&x) % 8) {
        case 0:
            while (i < end) out[i++] = (uint8_t)(data_next(&x) >> 11);
            break;
        case 1: {
            uint8_t byte = (uint8_t)data_next(&x);
            while (i < end) out[i++] = byte;
            break;
        }
        case 2:
        case 3:
            while (i + 8 <= end) {
                uint32_t low = counter++ * 3, high = data_next(&x) % 50;
                for (int k = 0; k < 4; k++) out[i + k] = (uint8_t)(low >> 8 * k);
                for (int k = 0; k < 4; k++) out[i + 4 + k] = (uint8_t)(high >> 8 * k);
                i += 8;
            }
            while (i < end) out[i++] = 0;
            break;
        default:
            while (i < end) {
                uint32_t pick = data_next(&x);
                const char *w = words[(pick & 15) & (pick >> 8 & 15)];
                while (*w && i < end) out[i++] = (uint8_t)*w++;
                if (i < end) out[i++] = ' ';
            }
        }
    }
}

/* FNV-1a, to name a buffer's contents in the output. */
static uint64_t data_hash(const uint8_t *p, size_t n) {
    uint64_t hash = 0xcbf29ce484222325ull;
    while (n--) hash = (hash ^ *p++) * 0x100000001b3ull;
    return hash;
}

#endif
