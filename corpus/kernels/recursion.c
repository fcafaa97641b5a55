/* Calls and nothing else: Fibonacci, Ackermann, Takeuchi and the towers of Hanoi. */
#include <stdio.h>

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static int ackermann(int m, int n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static int tak(int x, int y, int z) {
    if (y >= x) return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static long moves;

static void hanoi(int n, int from, int to, int by) {
    if (n == 0) return;
    hanoi(n - 1, from, by, to);
    moves += from != to;
    hanoi(n - 1, by, to, from);
}

int main(void) {
    printf("fib %d\n", fib(38));
    printf("ackermann %d\n", ackermann(3, 8));
    printf("tak %d\n", tak(24, 16, 8));
    hanoi(23, 0, 2, 1);
    printf("hanoi %ld\n", moves);
    return 0;
}
