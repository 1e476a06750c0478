// What CUDA C takes for granted, for a C++ compiler: included before a kernel source that runs on the CPU.
//
// __CUDA_ARCH__ stays undefined, so sources take their portable branches. Everything here is lenient where NVRTC is
// strict (it includes headers); compiling for a device is another test.

#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))

// One block runs at a time, so a block's memory is a static variable; in a section of its own, the runtime can find
// it and fill it with garbage.
#define __shared__ static __attribute__((section("cuda_shared")))

// --- vector types ---------------------------------------------------------------------------------------------

#define SHIM_VECTOR_2(type, name, alignment)                   \
    struct alignas(alignment) name {                           \
        using shim_element = type;                             \
        type x, y;                                             \
    };                                                         \
    inline name make_##name(type x, type y) { return {x, y}; }

#define SHIM_VECTOR_3(type, name, alignment)                             \
    struct alignas(alignment) name {                                     \
        using shim_element = type;                                       \
        type x, y, z;                                                    \
    };                                                                   \
    inline name make_##name(type x, type y, type z) { return {x, y, z}; }

#define SHIM_VECTOR_4(type, name, alignment)                                        \
    struct alignas(alignment) name {                                                \
        using shim_element = type;                                                  \
        type x, y, z, w;                                                            \
    };                                                                              \
    inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }

SHIM_VECTOR_2(int, int2, 8)
SHIM_VECTOR_2(unsigned, uint2, 8)
SHIM_VECTOR_2(float, float2, 8)
SHIM_VECTOR_2(double, double2, 16)
SHIM_VECTOR_3(unsigned, uint3, 4)
SHIM_VECTOR_3(float, float3, 4)
SHIM_VECTOR_4(int, int4, 16)
SHIM_VECTOR_4(unsigned, uint4, 16)
SHIM_VECTOR_4(float, float4, 16)
SHIM_VECTOR_4(double, double4, 16)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// --- waiting for other threads --------------------------------------------------------------------------------

namespace shim {

enum Meeting { SYNCWARP, SHFL, SHFL_DOWN, SHFL_UP, SHFL_XOR };

void barrier(int line);
void fence();
void told();
unsigned lane();
// The value that lane `from` brings to this meeting of the lanes in `mask`; all bits set if it brings none.
uint64_t exchange(Meeting meeting, unsigned mask, uint64_t value, unsigned from);

template <class T>
T shuffle(Meeting meeting, unsigned mask, T value, unsigned from) {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "no shuffle of this type in CUDA");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = exchange(meeting, mask, bits, from);
    memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace shim

// The line tells apart two barriers that the threads of a block wait at. A loop that the compiler unrolls has one.
#define __syncthreads() shim::barrier(__LINE__)

inline void __syncwarp(unsigned mask = 0xffffffffu) { shim::exchange(shim::SYNCWARP, mask, 0, shim::lane()); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    unsigned first = shim::lane() & ~(width - 1u);
    return shim::shuffle(shim::SHFL, mask, value, first + (from & (width - 1u)));
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    unsigned lane = shim::lane(), end = (lane & ~(width - 1u)) + width;
    return shim::shuffle(shim::SHFL_DOWN, mask, value, lane + delta < end ? lane + delta : lane);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    unsigned lane = shim::lane(), first = lane & ~(width - 1u);
    return shim::shuffle(shim::SHFL_UP, mask, value, lane - first >= delta ? lane - delta : lane);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    unsigned lane = shim::lane(), end = (lane & ~(width - 1u)) + width, from = lane ^ bits;
    return shim::shuffle(shim::SHFL_XOR, mask, value, from < end ? from : lane);
}

// --- copies that are not waited for ---------------------------------------------------------------------------

namespace shim {

void start_copy(void* to, const void* from, size_t size, size_t zeros);
void end_group();
void wait_for_groups(size_t last);
void* dynamic_shared();

}  // namespace shim

// As in cuda_pipeline.h: until a thread has waited for its copy, there is garbage where the copy goes.
inline void __pipeline_memcpy_async(void* to, const void* from, size_t size, size_t zeros = 0) {
    shim::start_copy(to, from, size, zeros);
}
inline void __pipeline_commit() { shim::end_group(); }
inline void __pipeline_wait_prior(size_t last) { shim::wait_for_groups(last); }

// --- memory and arithmetic ------------------------------------------------------------------------------------

template <class T>
T __ldg(const T* p) {
    return *p;
}

template <class T>
T atomicAdd(T* p, T value) {
    T old = *p;
    *p = old + value;
    return old;
}

// By which blocks count themselves: the others may run before the thread goes on.
inline unsigned atomicInc(unsigned* p, unsigned most) {
    unsigned old = *p;
    *p = old >= most ? 0 : old + 1;
    shim::told();
    return old;
}

inline void __threadfence() { shim::fence(); }

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return uint64_t(a) * b >> 32; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}

template <class To, class From>
To shim_bits(From from) {
    To to;
    static_assert(sizeof to == sizeof from, "");
    memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return shim_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return shim_bits<unsigned>(x); }
inline float __int_as_float(int x) { return shim_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return shim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return shim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return shim_bits<double>(x); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }

// Macros, since glibc declares functions of some of these names.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
#define __fdividef(x, y) ((float)(x) / (float)(y))

template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmin(T(a), T(b));
    else return T(b) < T(a) ? T(b) : T(a);
}

template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmax(T(a), T(b));
    else return T(a) < T(b) ? T(b) : T(a);
}

// --- what the host must know of a kernel ----------------------------------------------------------------------

namespace shim {

struct Parameter {
    char kind;      // NumPy's letter for the type (of what a pointer points to); V: a struct, *: void
    bool pointer;
    bool constant;  // points to what the kernel only reads
    int size, alignment;
};

struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    const Parameter* parameters;
    int count;
    int max_threads;
};

template <class T, class = void>
struct Element {
    using type = T;
};
template <class T>
struct Element<T, std::void_t<typename T::shim_element>> {
    using type = typename T::shim_element;
};

template <class T>
constexpr char kind() {
    if constexpr (std::is_enum_v<T>) return kind<std::underlying_type_t<T>>();
    if (std::is_void_v<T>) return '*';
    if (std::is_same_v<T, bool>) return 'b';
    if (std::is_floating_point_v<T>) return 'f';
    if (std::is_pointer_v<T>) return 'u';
    if (std::is_integral_v<T>) return std::is_signed_v<T> ? 'i' : 'u';
    return 'V';
}

template <class T>
constexpr Parameter parameter() {
    using To = std::remove_cv_t<std::remove_pointer_t<T>>;
    if constexpr (!std::is_pointer_v<T>) {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16, "a parameter is passed as plain bytes");
        return {kind<T>(), false, false, sizeof(T), alignof(T)};
    } else if constexpr (std::is_void_v<To>) {
        return {'*', true, std::is_const_v<std::remove_pointer_t<T>>, 1, 1};
    } else {
        // a pointer to float4 takes an array of floats
        using E = typename Element<To>::type;
        return {kind<E>(), true, std::is_const_v<std::remove_pointer_t<T>>, sizeof(E), alignof(To)};
    }
}

template <auto function, class = decltype(function)>
struct Entry;
template <auto function, class... A>
struct Entry<function, void (*)(A...)> {
    static constexpr Parameter parameters[] = {parameter<A>()..., Parameter{}};

    template <size_t... I>
    static void unpack(void** arguments, std::index_sequence<I...>) {
        function(*static_cast<A*>(arguments[I])...);
    }
    static void call(void** arguments) { unpack(arguments, std::index_sequence_for<A...>()); }
};

constexpr int first(int threads, int = 0, int = 0) { return threads; }

template <auto function>
constexpr Kernel kernel(const char* name, int max_threads) {
    using E = Entry<function>;
    return {name, E::call, E::parameters, sizeof(E::parameters) / sizeof(Parameter) - 1, max_threads};
}

}  // namespace shim
