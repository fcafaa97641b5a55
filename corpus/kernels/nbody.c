/* Five bodies under gravity, symplectic Euler steps: double arithmetic with square roots and
   divisions, all of it in one loop nest over a small array. */
#include <math.h>
#include <stdio.h>

#define BODIES 5
#define STEPS 5000000

static const double PI = 3.141592653589793;
static const double DAYS = 365.24;

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static struct body system_[BODIES] = {
    {0, 0, 0, 0, 0, 0, 1},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
     1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05,
     9.54791938424326609e-04},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
     -2.76742510726411899e-03, 4.99852801234917238e-03, 2.30417297573763929e-05,
     2.85885980666130812e-04},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
     2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05,
     4.36624404335156298e-05},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
     2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05,
     5.15138902046611451e-05},
};

static void prepare(struct body *b) {
    double px = 0, py = 0, pz = 0, sun = 4 * PI * PI;
    for (int i = 0; i < BODIES; i++) {
        b[i].mass *= sun;
        b[i].vx *= DAYS;
        b[i].vy *= DAYS;
        b[i].vz *= DAYS;
        px += b[i].vx * b[i].mass;
        py += b[i].vy * b[i].mass;
        pz += b[i].vz * b[i].mass;
    }
    b[0].vx = -px / sun;
    b[0].vy = -py / sun;
    b[0].vz = -pz / sun;
}

static double energy(const struct body *b) {
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        sum += 0.5 * b[i].mass * (b[i].vx * b[i].vx + b[i].vy * b[i].vy + b[i].vz * b[i].vz);
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            sum -= b[i].mass * b[j].mass / sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return sum;
}

static void step(struct body *b, double dt) {
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = dt / (square * sqrt(square));
            double mi = b[i].mass * pull, mj = b[j].mass * pull;
            b[i].vx -= dx * mj;
            b[i].vy -= dy * mj;
            b[i].vz -= dz * mj;
            b[j].vx += dx * mi;
            b[j].vy += dy * mi;
            b[j].vz += dz * mi;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        b[i].x += dt * b[i].vx;
        b[i].y += dt * b[i].vy;
        b[i].z += dt * b[i].vz;
    }
}

int main(void) {
    prepare(system_);
    printf("before %.12f\n", energy(system_));
    for (int i = 0; i < STEPS; i++) step(system_, 0.01);
    printf("after  %.12f\n", energy(system_));
    return 0;
}
