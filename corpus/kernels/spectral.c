/* Spectral norm of an infinite matrix by the power method: integer to double conversions and one
   division per element. */
#include <math.h>
#include <stdio.h>

#define N 2000

static double element(int i, int j) {
    return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(const double *v, double *out) {
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += element(i, j) * v[j];
        out[i] = sum;
    }
}

static void transposed_times(const double *v, double *out) {
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += element(j, i) * v[j];
        out[i] = sum;
    }
}

static double u[N], v[N], scratch[N];

int main(void) {
    for (int i = 0; i < N; i++) u[i] = 1;
    for (int i = 0; i < 15; i++) {
        times(u, scratch);
        transposed_times(scratch, v);
        times(v, scratch);
        transposed_times(scratch, u);
    }
    double uv = 0, vv = 0;
    for (int i = 0; i < N; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    printf("%.9f\n", sqrt(uv / vv));
    return 0;
}
