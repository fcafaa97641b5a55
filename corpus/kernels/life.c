/* Conway's Life on a torus, a byte a cell: eight neighbour loads and a table look-up per cell. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIDE 512

static uint8_t now[SIDE][SIDE], then[SIDE][SIDE];

int main(void) {
    uint32_t x = 1;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            x = x * 1664525u + 1013904223u;
            now[i][j] = x >> 30 == 0;
        }
    for (int generation = 0; generation < 500; generation++) {
        for (int i = 0; i < SIDE; i++) {
            const uint8_t *up = now[(i + SIDE - 1) % SIDE], *mid = now[i], *down = now[(i + 1) % SIDE];
            for (int j = 0; j < SIDE; j++) {
                int l = (j + SIDE - 1) % SIDE, r = (j + 1) % SIDE;
                int around = up[l] + up[j] + up[r] + mid[l] + mid[r] + down[l] + down[j] + down[r];
                then[i][j] = around == 3 || (around == 2 && mid[j]);
            }
        }
        memcpy(now, then, sizeof now);
    }
    uint32_t alive = 0, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            alive += now[i][j];
            sum = sum * 31 + now[i][j];
        }
    printf("alive %u, checksum %08x\n", (unsigned)alive, (unsigned)sum);
    return 0;
}
