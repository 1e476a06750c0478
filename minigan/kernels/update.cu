// Optimizer updates, in place, of all parameters in one launch: blockIdx.y is the array, x and its threads its elements.
// The learning rate and the step count are read from the device, so that a replayed launch sees them move.
// The formulas are those of portable.py.
#include "common.cuh"

#define ARRAYS 64
#define SLOTS 3

// One row for each parameter: itself, its gradient, the optimizer's slots, its number of elements.
struct Table {
    real* p[ARRAYS];
    const real* g[ARRAYS];
    real* slot[SLOTS][ARRAYS];
    int64 size[ARRAYS];
};

// The grid is as wide as the largest array needs: a block that lies beyond its own has nothing to do.
#define IS_IDLE (blockIdx.x * (int64)blockDim.x >= table.size[blockIdx.y])
#define EACH_ELEMENT(i) EACH(i, table.size[blockIdx.y])
#define OF_TYPE(single, wide) (real)(sizeof(real) == 4 ? single : wide)
#define LARGEST OF_TYPE(3.40282346638528859812e+38, 1.79769313486231570815e+308)
#define HALF_A_UNIT OF_TYPE(5.9604644775390625e-08, 1.11022302462515654042e-16)  // in the last place of a number

__device__ inline real limited(real g) { return g > LARGEST ? LARGEST : g < -LARGEST ? -LARGEST : g; }

__device__ inline real variance(real s, real average) { return fmax(s - average * average, HALF_A_UNIT * s); }

extern "C" __global__ void sgd(
    Table table, const double* lr, real momentum, real weight_decay, int64 nesterov, int64 slots) {
    real *p = table.p[blockIdx.y], *v = table.slot[0][blockIdx.y];
    const real* gradient = table.g[blockIdx.y];
    real rate = (real)*lr;
    EACH_ELEMENT(i) {
        real g = limited(gradient[i] + weight_decay * p[i]);
        if (slots) {
            v[i] = momentum * v[i] + g;
            g = nesterov ? g + momentum * v[i] : v[i];
        }
        p[i] -= rate * g;
    }
}

extern "C" __global__ void rmsprop(
    Table table, const double* lr, real alpha, real eps, real weight_decay, real momentum, int64 centered) {
    int k = blockIdx.y;
    real *p = table.p[k], *s = table.slot[0][k], *average = table.slot[1][k], *buffer = table.slot[centered ? 2 : 1][k];
    const real* gradient = table.g[k];
    real rate = (real)*lr;
    EACH_ELEMENT(i) {
        real g = limited(gradient[i] + weight_decay * p[i]);
        real square = s[i] = alpha * s[i] + (1 - alpha) * g * g;
        if (centered) {
            average[i] = alpha * average[i] + (1 - alpha) * g;
            square = variance(square, average[i]);
        }
        real step = g / (sqrt(square) + eps);
        if (momentum != 0) step = buffer[i] = momentum * buffer[i] + step;
        p[i] -= rate * step;
    }
}

extern "C" __global__ void adam(
    Table table, const double* lr, const int64* t, double beta1, double beta2, real eps, double weight_decay,
    int64 decoupled) {
    if (IS_IDLE) return;
    __shared__ real shared_rate, shared_correction, shared_kept;
    if (threadIdx.x == 0) {  // powers in double precision are dear: once for each block
        shared_correction = (real)sqrt(1 - pow(beta2, (double)*t));
        shared_rate = (real)(*lr / (1 - pow(beta1, (double)*t)));
        shared_kept = (real)(1 - *lr * weight_decay);
    }
    __syncthreads();
    real rate = shared_rate * shared_correction, floor = eps * shared_correction, kept = shared_kept;
    real *p = table.p[blockIdx.y], *m = table.slot[0][blockIdx.y], *v = table.slot[1][blockIdx.y];
    const real* gradient = table.g[blockIdx.y];
    real toward1 = (real)(1 - beta1), toward2 = (real)(1 - beta2), decay = (real)weight_decay;
    EACH_ELEMENT(i) {
        real g = gradient[i], before = p[i];
        if (decoupled)
            before *= kept;
        else
            g += decay * before;
        g = limited(g);
        m[i] = (real)beta1 * m[i] + toward1 * g;
        v[i] = (real)beta2 * v[i] + toward2 * g * g;
        p[i] = before - rate * m[i] / (sqrt(v[i]) + floor);
    }
}

// shadow += (1 - decay) (parameter - shadow): the shadow stands where a parameter does, the parameter as its gradient
extern "C" __global__ void average(Table table, const double* decay) {
    real* shadow = table.p[blockIdx.y];
    const real* parameter = table.g[blockIdx.y];
    real toward = (real)(1 - *decay);
    EACH_ELEMENT(i) shadow[i] += toward * (parameter[i] - shadow[i]);
}

// p = g + the slots that there are: what several uses of a parameter give to its gradient
extern "C" __global__ void total(Table table) {
    int k = blockIdx.y;
    EACH_ELEMENT(i) {
        real sum = table.g[k][i];
        for (int j = 0; j < SLOTS; j++)
            if (table.slot[j][k]) sum += table.slot[j][k][i];
        table.p[k][i] = sum;
    }
}
