// Runs the blocks of a grid one after another and the threads of a block as fibers that stop where they wait.
//
// Every module is linked with a copy of its own. Each thread runs until it waits or ends before another one starts,
// in an order that the caller chooses: what a kernel computes must not depend on it. Where a thread counts its block
// among others (atomicInc), all blocks that are left may run before it goes on.

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#include "cuda.h"  // last: its macros have names that other headers use

#define HIDDEN __attribute__((visibility("hidden")))
#define EXPORTED extern "C" __attribute__((visibility("default")))

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// The linker's names for the ends of the section; absent from a module without shared memory.
extern "C" HIDDEN __attribute__((weak)) char __start_cuda_shared[];
extern "C" HIDDEN __attribute__((weak)) char __stop_cuda_shared[];

namespace shim {
namespace {

constexpr size_t STACK = 256 * 1024;
constexpr size_t GUARD = 64 * 1024;  // a multiple of the page size everywhere
constexpr unsigned WARP = 32;

enum Order { FORWARD, BACKWARD, RANDOM };
enum State { READY, AT_BARRIER, AT_MEETING, COUNTED, DONE, FAILED };

// --- stacks ---------------------------------------------------------------------------------------------------

struct Context {
    jmp_buf registers;
    ucontext_t start;
    bool begun = true;  // else it is entered through `start`
    void* stack = nullptr;
    size_t size = 0;
    void* sanitizers = nullptr;
};

struct Copy {
    char* to;
    size_t size;
    char values[16];
};

struct Fiber {
    Context context;
    std::deque<std::vector<Copy>> groups;  // that this thread has started; the last one is not ended yet
    uint3 thread;
    State state;
    int line;  // of the barrier
    bool fenced, counted;  // since the last barrier: it has waited at a fence; it has counted, and at none since
    Meeting meeting;
    unsigned mask, from;
    uint64_t value;
};

Context scheduler;
std::vector<std::unique_ptr<Fiber>> fibers, others;  // of the block that runs, and of one in whose midst it does
bool within;  // the midst of another block
Fiber* current;  // nullptr while threads run without fibers
void (*call)(void**);
void** arguments;
char message[256];
std::unique_ptr<char, decltype(&free)> shared{nullptr, free};  // what the launch asked for beside the static arrays
size_t shared_size;

// Jumps keep the signal mask as it is, where swapcontext would ask the kernel twice.
__attribute__((noinline)) void switch_to(Context& from, Context& to) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from.sanitizers, to.stack, to.size);
#endif
    if (_setjmp(from.registers) == 0) {
        if (to.begun) _longjmp(to.registers, 1);
        to.begun = true;
        setcontext(&to.start);
    }
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from.sanitizers, nullptr, nullptr);
#endif
}

void run_threads() {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, const_cast<const void**>(&scheduler.stack), &scheduler.size);
#endif
    for (;;) {  // one thread of each block that uses this fiber
        call(arguments);
        current->state = DONE;
        switch_to(current->context, scheduler);
    }
}

void rewind(Fiber& fiber) {
    Context& c = fiber.context;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(c.stack, c.size);
#endif
    getcontext(&c.start);
    c.start.uc_stack.ss_sp = c.stack;
    c.start.uc_stack.ss_size = c.size;
    c.start.uc_link = nullptr;
    makecontext(&c.start, run_threads, 0);
    c.begun = false;
}

bool add_fiber(std::vector<std::unique_ptr<Fiber>>& fibers) {
    auto fiber = std::make_unique<Fiber>();
    void* memory =
        mmap(nullptr, GUARD + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    mprotect(memory, GUARD, PROT_NONE);  // stacks grow down: an overflow faults
    fiber->context.stack = static_cast<char*>(memory) + GUARD;
    // stacks that began at the same place of their pages would compete for the same lines of the cache
    fiber->context.size = STACK - fibers.size() * 5 % 64 * 64;
    rewind(*fiber);
    fibers.push_back(std::move(fiber));
    return true;
}

// --- errors ---------------------------------------------------------------------------------------------------

void describe(const char* format, ...) {
    va_list rest;
    va_start(rest, format);
    vsnprintf(message, sizeof message, format, rest);
    va_end(rest);
}

// Ends this thread, and with it the launch.
void fail() {
    if (current) {
        current->state = FAILED;
        switch_to(current->context, scheduler);
    }
    _longjmp(scheduler.registers, 1);
}

const char* name(Meeting meeting) {
    static const char* names[] = {"__syncwarp", "__shfl_sync", "__shfl_down_sync", "__shfl_up_sync", "__shfl_xor_sync"};
    return names[meeting];
}

void describe_stuck(unsigned count) {
    const Fiber* waits = nullptr;
    for (unsigned t = 0; t < count && !waits; t++)
        if (fibers[t]->state != DONE) waits = fibers[t].get();
    for (unsigned t = 0; t < count; t++) {
        const Fiber& other = *fibers[t];
        if (other.state == waits->state && (other.state == AT_MEETING || other.line == waits->line)) continue;
        char where[2][96];
        const Fiber* both[] = {waits, &other};
        for (int i = 0; i < 2; i++) {
            const Fiber& f = *both[i];
            if (f.state == AT_BARRIER) snprintf(where[i], sizeof where[i], "waits at __syncthreads in line %d", f.line);
            else if (f.state == AT_MEETING) snprintf(where[i], sizeof where[i], "waits at %s", name(f.meeting));
            else snprintf(where[i], sizeof where[i], "has left");
        }
        return describe("block (%u, %u, %u): thread (%u, %u, %u) %s, but thread (%u, %u, %u) %s", blockIdx.x,
                        blockIdx.y, blockIdx.z, waits->thread.x, waits->thread.y, waits->thread.z, where[0],
                        other.thread.x, other.thread.y, other.thread.z, where[1]);
    }
    describe("block (%u, %u, %u): thread (%u, %u, %u) waits at %s with mask %#x for lanes that call another one",
             blockIdx.x, blockIdx.y, blockIdx.z, waits->thread.x, waits->thread.y, waits->thread.z,
             name(waits->meeting), waits->mask);
}

// --- order ----------------------------------------------------------------------------------------------------

Order order;
std::mt19937 generator;

void arrange(std::vector<unsigned>& items, unsigned count) {
    items.resize(count);
    std::iota(items.begin(), items.end(), 0u);
    if (order == BACKWARD) std::reverse(items.begin(), items.end());
    if (order == RANDOM) std::shuffle(items.begin(), items.end(), generator);
}

uint3 position(uint64_t index, const dim3& size) {
    return {unsigned(index % size.x), unsigned(index / size.x % size.y), unsigned(index / size.x / size.y)};
}

// --- a block --------------------------------------------------------------------------------------------------

// A loop of its own, since the sanitizer's memset would object to the gaps that it left between variables.
__attribute__((no_sanitize("address", "undefined"), optimize("no-tree-loop-distribute-patterns"))) void fill_shared() {
    uint64_t* end = reinterpret_cast<uint64_t*>(uintptr_t(__stop_cuda_shared) & ~uintptr_t(7));
    char* p = __start_cuda_shared;
    for (; p < __stop_cuda_shared && uintptr_t(p) % 8; p++) *p = char(0xff);
    for (; p < reinterpret_cast<char*>(end); p += 8) *reinterpret_cast<uint64_t*>(p) = ~uint64_t(0);
    for (; p < __stop_cuda_shared; p++) *p = char(0xff);
}

void fill_dynamic_shared() { std::fill_n(shared.get(), shared_size, char(0xff)); }

// What lies in shared memory to `kept`, or back. A loop of its own for the same reason.
__attribute__((no_sanitize("address", "undefined"), optimize("no-tree-loop-distribute-patterns"))) void copy_shared(
    std::vector<char>& kept, bool back) {
    kept.resize(__stop_cuda_shared - __start_cuda_shared);
    for (size_t i = 0; i < kept.size(); i++)
        if (back) __start_cuda_shared[i] = kept[i];
        else kept[i] = __start_cuda_shared[i];
}

bool run_rest(unsigned count);

// All blocks that are left run while a thread of this one stands where it is; but not in forward order, and not in
// blocks that run so themselves.
bool run_others() {
    if (order == FORWARD || within) return true;
    std::vector<char> kept;
    uint3 block = blockIdx;
    std::vector<char> dynamic(shared.get(), shared.get() + shared_size);
    copy_shared(kept, false);
    std::swap(fibers, others);
    within = true;
    bool done = run_rest(blockDim.x * blockDim.y * blockDim.z);
    within = false;
    std::swap(fibers, others);
    copy_shared(kept, true);
    std::copy(dynamic.begin(), dynamic.end(), shared.get());
    blockIdx = block;
    return done;
}

// Lets the lanes go on that have all come to their meeting; false if there are none.
bool release(unsigned first, unsigned end) {
    bool released = false;
    for (unsigned t = first; t < end; t++) {
        const Fiber& caller = *fibers[t];
        if (caller.state != AT_MEETING) continue;
        unsigned mask = caller.mask;
        Meeting meeting = caller.meeting;
        auto comes = [&](unsigned lane) {
            const Fiber& f = *fibers[first + lane];
            return f.state == AT_MEETING && f.mask == mask && f.meeting == meeting;
        };
        bool complete = true;
        for (unsigned lane = 0; first + lane < end; lane++)
            if (mask >> lane & 1 && fibers[first + lane]->state != DONE && !comes(lane)) complete = false;
        if (!complete) continue;
        uint64_t values[WARP];
        memset(values, 0xff, sizeof values);
        for (unsigned lane = 0; first + lane < end; lane++)
            if (mask >> lane & 1 && comes(lane)) values[lane] = fibers[first + lane]->value;
        for (unsigned lane = 0; first + lane < end; lane++)
            if (mask >> lane & 1 && comes(lane)) {
                Fiber& f = *fibers[first + lane];
                f.value = values[f.from % WARP];
                f.state = READY;
            }
        released = true;
    }
    return released;
}

bool run_warp(unsigned first, unsigned end) {
    static std::vector<unsigned> of_each[2];
    std::vector<unsigned>& lanes = of_each[within];
    do {
        arrange(lanes, end - first);
        for (unsigned lane : lanes) {
            Fiber& fiber = *fibers[first + lane];
            while (fiber.state == READY) {
                current = &fiber;
                threadIdx = fiber.thread;
                switch_to(scheduler, fiber.context);
                current = nullptr;
                if (fiber.state == COUNTED) fiber.state = run_others() ? READY : FAILED;
                if (fiber.state == FAILED) return false;
            }
        }
    } while (release(first, end));
    return true;
}

bool run_block(unsigned count) {
    static std::vector<unsigned> of_each[2];
    std::vector<unsigned>& warps = of_each[within];
    fill_shared();
    fill_dynamic_shared();
    for (unsigned t = 0; t < count; t++) {
        fibers[t]->state = READY;
        fibers[t]->fenced = fibers[t]->counted = false;
        fibers[t]->groups.assign(1, {});
    }
    for (;;) {
        arrange(warps, (count + WARP - 1) / WARP);
        for (unsigned w : warps)
            if (!run_warp(w * WARP, std::min(w * WARP + WARP, count))) return false;
        State state = fibers[0]->state;
        int line = fibers[0]->line;
        for (unsigned t = 0; t < count; t++)
            if (fibers[t]->state == AT_MEETING || fibers[t]->state != state ||
                (state == AT_BARRIER && fibers[t]->line != line)) {
                describe_stuck(count);
                return false;
            }
        if (state == DONE) return true;
        for (unsigned t = 0; t < count; t++) fibers[t]->state = READY;
    }
}

bool run_plain_block(unsigned count, bool first) {
    static std::vector<unsigned> threads;
    static std::vector<uint3> positions;
    if (order == RANDOM || first) {
        arrange(threads, count);
        positions.resize(count);
        for (unsigned i = 0; i < count; i++) positions[i] = position(threads[i], blockDim);
    }
    for (const uint3& thread : positions) {
        threadIdx = thread;
        call(arguments);
    }
    return true;
}

// --- a grid ---------------------------------------------------------------------------------------------------

std::vector<unsigned> shuffled;  // all blocks, in random order
uint64_t blocks, begun;
bool with_fibers;

// Every block that has not begun.
bool run_rest(unsigned count) {
    while (begun < blocks) {
        uint64_t b = begun++;
        blockIdx = position(order == RANDOM ? shuffled[b] : order == BACKWARD ? blocks - 1 - b : b, gridDim);
        if (!(with_fibers ? run_block(count) : run_plain_block(count, b == 0))) return false;
    }
    return true;
}

}  // namespace

// --- what kernels call ----------------------------------------------------------------------------------------

unsigned lane() { return ((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x) % WARP; }

static void wait(State state) {
    if (!current) {
        describe("it waits for other threads, which its source did not show");
        fail();
    }
    current->state = state;
    switch_to(current->context, scheduler);
}

void barrier(int line) {
    if (current) {
        current->line = line;
        if (current->counted) {
            describe("a thread that has counted its block tells the others of it before a __threadfence()");
            fail();
        }
        current->fenced = false;
    }
    wait(AT_BARRIER);
}

void fence() {
    if (current) {
        current->fenced = true;
        current->counted = false;
    }
}

void told() {
    if (!current) return;
    if (!current->fenced) {
        describe("a thread counts its block, and has not come to a __threadfence() since the last barrier");
        fail();
    }
    current->fenced = false;
    current->counted = true;
    wait(COUNTED);
}

uint64_t exchange(Meeting meeting, unsigned mask, uint64_t value, unsigned from) {
    if (!(mask >> lane() & 1)) {
        describe("block (%u, %u, %u): thread (%u, %u, %u) calls %s, but mask %#x leaves it out", blockIdx.x, blockIdx.y,
                 blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, name(meeting), mask);
        fail();
    }
    if (current) {
        current->meeting = meeting;
        current->mask = mask;
        current->value = value;
        current->from = from;
    }
    wait(AT_MEETING);
    return current->value;
}

void start_copy(void* to, const void* from, size_t size, size_t zeros) {
    if (!current) wait(READY);  // which says what is wrong
    if ((size != 4 && size != 8 && size != 16) || zeros > size || uintptr_t(to) % size ||
        (zeros < size && uintptr_t(from) % size)) {
        describe("block (%u, %u, %u): thread (%u, %u, %u) copies %zu bytes, %zu of them zeros, from %p to %p",
                 blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, size, zeros, from, to);
        fail();
    }
    Copy copy{static_cast<char*>(to), size, {}};
    if (zeros < size) memcpy(copy.values, from, size - zeros);
    memset(to, 0xff, size);
    current->groups.back().push_back(copy);
}

void end_group() { current->groups.emplace_back(); }

void wait_for_groups(size_t last) {
    for (; current->groups.size() > last + 1; current->groups.pop_front())
        for (const Copy& copy : current->groups.front()) memcpy(copy.to, copy.values, copy.size);
}

void* dynamic_shared() { return shared.get(); }

}  // namespace shim

// --- what the host calls --------------------------------------------------------------------------------------

EXPORTED const char* shim_error() { return shim::message; }

// 0, or 1 after an error that shim_error() describes. Without fibers, no thread may wait. `shared_bytes` is what
// `extern __shared__` arrays have.
EXPORTED int shim_launch(void (*call)(void**), void** arguments, const unsigned* grid, const unsigned* block,
                         size_t shared_bytes, int with_fibers, int order, unsigned seed) {
    using namespace shim;
    shim::call = call;
    shim::arguments = arguments;
    shim::order = Order(order);
    shim::with_fibers = with_fibers;
    generator.seed(seed);
    shared_size = shared_bytes;
    void* memory = nullptr;
    if (shared_bytes && posix_memalign(&memory, 128, shared_bytes)) {
        describe("no memory for %zu bytes of shared memory", shared_bytes);
        return 1;
    }
    shared.reset(static_cast<char*>(memory));
    gridDim = dim3(grid[0], grid[1], grid[2]);
    blockDim = dim3(block[0], block[1], block[2]);
    current = nullptr;
    unsigned threads = block[0] * block[1] * block[2];
    blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    begun = 0;
    if (with_fibers)
        for (auto* set : {&fibers, &others}) {
            while (set->size() < threads)
                if (!add_fiber(*set)) {
                    describe("no memory for the stacks of %u threads", threads);
                    return 1;
                }
            for (unsigned t = 0; t < threads; t++) (*set)[t]->thread = position(t, blockDim);
        }
    if (order == RANDOM) arrange(shuffled, blocks);
    if (!with_fibers && _setjmp(scheduler.registers)) return 1;
    if (run_rest(threads)) return 0;
    for (auto* set : {&fibers, &others})
        for (auto& fiber : *set) rewind(*fiber);  // some are in the middle of a thread
    return 1;
}
