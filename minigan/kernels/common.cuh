// What every source beside this file begins with. REAL is float or double; host code passes integers as long long.

typedef REAL real;
typedef long long int64;
typedef unsigned long long uint64;

// Visits 0 .. n - 1 once over all threads of the grid, however many there are.
#define EACH(i, n) \
    for (int64 i = blockIdx.x * (int64)blockDim.x + threadIdx.x; i < (n); i += (int64)gridDim.x * blockDim.x)

// i % n, and i becomes i / n: the last digit of an index is taken off. In 32 bits where they are enough, which is
// several times faster.
__device__ inline int take(int64& i, int n) {
    int digit;
    if (i >> 32) {
        digit = i % n;
        i /= n;
    } else {
        digit = (unsigned)i % (unsigned)n;
        i = (unsigned)i / (unsigned)n;
    }
    return digit;
}

// The three shapes of a convolution and how its windows step, as in geometry.py: x (n, c, h, w) is the larger image,
// y (n, o, oh, ow) the smaller one. Both lie in memory with their channels last.
struct Geometry {
    int n, c, h, w, kh, kw, o, oh, ow, sh, sw, top, left, dh, dw, groups;
};

// Where the window that has its element i at position p begins, counted in windows; -1 if no window has it there.
__device__ inline int window_at(int p, int pad, int i, int dilation, int stride, int windows) {
    int start = p + pad - i * dilation;
    if (start < 0 || start % stride) return -1;
    int window = start / stride;
    return window < windows ? window : -1;
}
