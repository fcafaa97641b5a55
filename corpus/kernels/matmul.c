/* Dense double matrices, the textbook triple loop in row order. */
#include <stdio.h>
#include <stdlib.h>

#define N 512

int main(void) {
    double *a = malloc(sizeof(double) * N * N), *b = malloc(sizeof(double) * N * N);
    double *c = calloc(N * N, sizeof(double));
    if (!a || !b || !c) return 1;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i * N + j] = (double)((i * 7 + j * 3) % 11) - 5;
            b[i * N + j] = (double)((i * 5 + j * 13) % 17) / 8;
        }
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < N; k++) {
                double factor = a[i * N + k];
                for (int j = 0; j < N; j++) c[i * N + j] += factor * b[k * N + j];
            }
        }
    }
    double trace = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        trace += c[i * N + i];
        for (int j = 0; j < N; j++) sum += c[i * N + j] * ((i ^ j) & 1 ? 1 : -1);
    }
    printf("trace %.6f, checksum %.6f\n", trace, sum);
    free(a);
    free(b);
    free(c);
    return 0;
}
