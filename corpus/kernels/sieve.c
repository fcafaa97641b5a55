/* Sieve of Eratosthenes, a byte a number: strided stores over more memory than the caches hold. */
#include <stdio.h>
#include <string.h>

#define LIMIT 20000000

static unsigned char composite[LIMIT + 1];

int main(void) {
    long primes = 0;
    unsigned long long sum = 0;
    for (int round = 0; round < 3; round++) {
        memset(composite, 0, sizeof composite);
        primes = 0;
        sum = 0;
        for (long i = 2; i <= LIMIT; i++) {
            if (composite[i]) continue;
            primes++;
            sum += (unsigned long long)i;
            for (long long j = (long long)i * i; j <= LIMIT; j += i) composite[j] = 1;
        }
    }
    printf("%ld primes, sum %llu\n", primes, sum);
    return 0;
}
