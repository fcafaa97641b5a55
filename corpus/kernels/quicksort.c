/* Our own quicksort, and the C library's qsort (calls through a pointer) on a part of the numbers,
   since its algorithm is not the same everywhere. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 3000000
#define PART 100000

static uint32_t a[N], b[PART], c[PART];

static uint32_t next(void) {
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static void sort(uint32_t *v, long lo, long hi) {
    while (hi - lo > 16) {
        uint32_t pivot = v[lo + (hi - lo) / 2];
        long i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i <= j) {
                uint32_t swap = v[i];
                v[i++] = v[j];
                v[j--] = swap;
            }
        }
        if (j - lo < hi - i) {
            sort(v, lo, j);
            lo = i;
        } else {
            sort(v, i, hi);
            hi = j;
        }
    }
    for (long i = lo + 1; i <= hi; i++) {
        uint32_t value = v[i];
        long j = i;
        for (; j > lo && v[j - 1] > value; j--) v[j] = v[j - 1];
        v[j] = value;
    }
}

static int compare(const void *x, const void *y) {
    uint32_t l = *(const uint32_t *)x, r = *(const uint32_t *)y;
    return (l > r) - (l < r);
}

int main(void) {
    for (int i = 0; i < N; i++) a[i] = next();
    for (int i = 0; i < PART; i++) b[i] = c[i] = a[i];
    sort(a, 0, N - 1);
    sort(b, 0, PART - 1);
    qsort(c, PART, sizeof c[0], compare);
    uint32_t sum = 0;
    long differ = 0;
    for (int i = 0; i < N; i++) sum = sum * 16777619u ^ a[i];
    for (int i = 0; i < PART; i++) differ += b[i] != c[i];
    printf("checksum %08x, %ld differ, median %u\n", (unsigned)sum, differ, (unsigned)a[N / 2]);
    return differ != 0;
}
