/* Pancake flips over every permutation of ten numbers: short loops over small arrays, branches
   that no predictor knows. */
#include <stdio.h>

#define N 10

int main(void) {
    int perm[N], start[N], count[N];
    int most = 0, checksum = 0, parity = 0, r = N;
    for (int i = 0; i < N; i++) start[i] = i;
    for (;;) {
        for (; r > 1; r--) count[r - 1] = r;
        if (start[0] != 0) {
            for (int i = 0; i < N; i++) perm[i] = start[i];
            int flips = 0;
            for (int first = perm[0]; first != 0; first = perm[0]) {
                for (int lo = 0, hi = first; lo < hi; lo++, hi--) {
                    int swap = perm[lo];
                    perm[lo] = perm[hi];
                    perm[hi] = swap;
                }
                flips++;
            }
            if (flips > most) most = flips;
            checksum += parity ? -flips : flips;
        }
        for (;; r++) {
            if (r == N) {
                printf("checksum %d, most flips %d\n", checksum, most);
                return 0;
            }
            int first = start[0];
            for (int i = 0; i < r; i++) start[i] = start[i + 1];
            start[r] = first;
            if (--count[r] > 0) break;
        }
        parity ^= 1;
    }
}
