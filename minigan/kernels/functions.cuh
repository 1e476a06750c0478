// Functions of one number that several sources share.

// ln(1 + e^x), finite for every finite x.
__device__ inline real softplus_at(real x) { return (x > 0 ? x : 0) + log1p(exp(x > 0 ? -x : x)); }

// 1 / (1 + e^-x), accurate on both tails.
__device__ inline real sigmoid_at(real x) {
    real small = exp(x > 0 ? -x : x);
    return (x >= 0 ? 1 : small) / (1 + small);
}
