// Matrix products without cuBLAS.
#include "common.cuh"
#include "operands.cuh"
#if defined(TF32) || defined(BF16)
#include "bfloat16.cuh"
#include "pipeline.cuh"
#else
#include "tile.cuh"
#endif

// out[m, n] = sum over k of left[m, k] right[n, k] (+ bias[n]) for each matrix of a batch, blockIdx.z: element (i, k)
// of an operand lies at i * row stride + k * depth stride from the start of its matrix.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) product(
    const real* left, int64 left_row, int64 left_depth, int64 left_matrix, const real* right, int64 right_row,
    int64 right_depth, int64 right_matrix, const real* bias, real* out, int64 m, int64 n, int64 k) {
    Matrix<LEFT_ALONG> a = {left + blockIdx.z * left_matrix, (int)m, left_row, left_depth};
    Matrix<RIGHT_ALONG> b = {right + blockIdx.z * right_matrix, (int)n, right_row, right_depth};
    Rows y = {out + blockIdx.z * m * n, n, bias};
    product_tile(a, b, y, m, n, 0, k);
}
