/* ChaCha20 (RFC 8439) over 128 MiB of key stream: sixteen words live at once. */
#include <stdint.h>
#include <stdio.h>

static uint32_t rotl(uint32_t x, int n) { return x << n | x >> (32 - n); }

#define QUARTER(a, b, c, d)                                                                        \
    a += b, d = rotl(d ^ a, 16), c += d, b = rotl(b ^ c, 12), a += b, d = rotl(d ^ a, 8), c += d,  \
        b = rotl(b ^ c, 7)

static void block(const uint32_t in[16], uint32_t out[16]) {
    uint32_t x[16];
    for (int i = 0; i < 16; i++) x[i] = in[i];
    for (int round = 0; round < 10; round++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) out[i] = x[i] + in[i];
}

int main(void) {
    uint32_t state[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504,
                          0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
                          1,          0x09000000, 0x4a000000, 0};
    uint32_t out[16], sum[4] = {0};
    block(state, out);
    printf("first block %08x %08x %08x %08x\n", (unsigned)out[0], (unsigned)out[1],
           (unsigned)out[2], (unsigned)out[3]);
    for (uint32_t i = 0; i < (128u << 20) / 64; i++) {
        state[12] = i;
        block(state, out);
        for (int j = 0; j < 16; j++) sum[j & 3] = rotl(sum[j & 3], 5) ^ out[j];
    }
    printf("stream %08x %08x %08x %08x\n", (unsigned)sum[0], (unsigned)sum[1], (unsigned)sum[2],
           (unsigned)sum[3]);
    return 0;
}
