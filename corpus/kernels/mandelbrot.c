/* Escape times over a grid: a tight double loop with one unpredictable exit per point. */
#include <stdint.h>
#include <stdio.h>

#define SIDE 1500
#define LIMIT 200

int main(void) {
    uint32_t sum = 0;
    long inside = 0;
    for (int row = 0; row < SIDE; row++) {
        for (int col = 0; col < SIDE; col++) {
            double cr = 3.0 * col / SIDE - 2.25, ci = 3.0 * row / SIDE - 1.5;
            double zr = 0, zi = 0, rr = 0, ii = 0;
            int n = 0;
            while (n < LIMIT && rr + ii <= 4.0) {
                zi = 2 * zr * zi + ci;
                zr = rr - ii + cr;
                rr = zr * zr;
                ii = zi * zi;
                n++;
            }
            inside += n == LIMIT;
            sum = sum * 31 + (uint32_t)n;
        }
    }
    printf("inside %ld, checksum %08x\n", inside, (unsigned)sum);
    return 0;
}
