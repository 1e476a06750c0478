// What a matrix product reads and writes: out[m, n] = sum over k of left[m, k] right[n, k].
//
// The operands are objects that know where their elements are; a convolution's windows are such an operand, so that
// no matrix of them is ever written. An operand says which way its memory runs (`along_depth`) and gives
//     row(i)               what is needed to address its row i, computed once for each thread
//     depth(k)             the same for position k of the sum
//     advance(k, n)        moves a position on by n
//     at(row, k, element)  true, and the address of the element; or false, which stands for a zero
// A result gives row(i), and put_two(row, column, n, a, b), which writes at `column` and, if that is below n, behind it.

// A matrix of `rows` rows: element (i, k) lies at i * row_stride + k * depth_stride.
template <bool ALONG_DEPTH>
struct Matrix {
    static const bool along_depth = ALONG_DEPTH;
    struct Row {
        const real* start;
        bool counts;
    };
    typedef int64 Depth;
    const real* start;
    int rows;
    int64 row_stride, depth_stride;
    __device__ Row row(int i) const { return {start + i * row_stride, i < rows}; }
    __device__ Depth depth(int k) const { return k * depth_stride; }
    __device__ void advance(Depth& depth, int n) const { depth += n * depth_stride; }
    __device__ bool at(const Row& row, Depth depth, const real*& element) const {
        element = row.start + depth;
        return row.counts;
    }
};

// Two neighbours in one piece where their address allows it; `column` is below n.
__device__ inline void write_two(real* row, int column, int n, const real* bias, real a, real b) {
    bool both = column + 1 < n;
    if (bias) {
        a += bias[column];
        if (both) b += bias[column + 1];
    }
    real* to = row + column;
    if (both && (uint64)to % (2 * sizeof(real)) == 0) {
        struct __align__(2 * sizeof(real)) Two { real a, b; };
        *(Two*)to = {a, b};
    } else {
        to[0] = a;
        if (both) to[1] = b;
    }
}

// Rows of `stride` elements, a value for each column added to them if there is one.
struct Rows {
    typedef real* Row;
    real* start;
    int64 stride;
    const real* bias;
    __device__ Row row(int i) const { return start + i * stride; }
    __device__ void put_two(Row row, int column, int n, real a, real b) const { write_two(row, column, n, bias, a, b); }
};
