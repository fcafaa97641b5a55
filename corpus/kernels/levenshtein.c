/* Edit distance by dynamic programming in one row: minima of three, a dependency from cell to cell. */
#include <stdio.h>

#define N 9000

static char a[N], b[N];
static int row[N + 1];

int main(void) {
    unsigned x = 12345;
    for (int i = 0; i < N; i++) {
        x = x * 1103515245u + 12345u;
        a[i] = (char)('a' + (x >> 16) % 8);
        b[i] = (i % 5 != 0) ? a[i] : (char)('a' + (x >> 20) % 8);
    }
    int total = 0;
    for (int skew = 0; skew < 3; skew++) {
        int n = N - skew * 500;
        for (int j = 0; j <= n; j++) row[j] = j;
        for (int i = 1; i <= n; i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= n; j++) {
                int best = diagonal + (a[i - 1] != b[j - 1 + skew * 500]);
                diagonal = row[j];
                if (row[j] + 1 < best) best = row[j] + 1;
                if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
                row[j] = best;
            }
        }
        printf("distance %d\n", row[n]);
        total += row[n];
    }
    printf("total %d\n", total);
    return 0;
}
