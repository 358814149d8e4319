// Runs the kernels of `kernels/cu` on the CPU: this file takes the place of the `ptx.cuh` there.
//
// Blocks run one after another, the threads of a block on stacks of their own that hand over to each other where a
// warp or a block waits. Who goes on is drawn at random, some warps before others, so that a missing barrier shows in
// wrong results. Asynchronous copies are made when they are waited for, and destroy what their destination held when
// they start. Shared memory begins as NaN. Tensor cores are taken to truncate: each step of 16 columns is summed
// exactly, then rounded towards zero.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __global__
#define __launch_bounds__(...)
#define __grid_constant__

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

constexpr u32 WARP = 32;

struct alignas(16) float4 {
    float x, y, z, w;
};

struct alignas(16) uint4 {
    u32 x, y, z, w;
};

// Saves the stack pointer and goes on on another stack.
extern "C" void emulator_switch(void** save, void* to);
asm(R"(
.text
.p2align 4
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace emulator {

struct Index {
    u32 x = 0, y = 0, z = 0;
};

struct Copy {
    u8* to;
    const u8* from;
    bool valid;
};

struct Thread {
    Index index;
    void* stack_pointer = nullptr;
    std::vector<u8> stack;
    bool done = false;
    // Groups of copies that are not made yet, the open one last.
    std::vector<std::vector<Copy>> copies;
};

struct Warp {
    alignas(16) u8 in[WARP][64], out[WARP][64];
    u32 n_arrived = 0;
    const char* operation = nullptr;
};

constexpr size_t STACK_BYTES = 256 << 10;

inline std::vector<Thread> threads;
inline std::vector<Warp> warps;
inline std::vector<u8> shared;
inline std::vector<u32> ready;
inline u32 current = 0, n_done = 0, n_at_barrier = 0, barrier_any = 0, barrier_result = 0;
inline const char* barrier = nullptr;
inline void* main_stack_pointer = nullptr;
inline Index block, grid_size, block_size;
inline u64 random_state = 1, block_random = 1;
// Does what others do beside the threads, of which something may make a thread ready; null: nobody does.
inline void (*work_beside)() = nullptr;
// Whether they have left nothing undone; null: there is nothing.
inline bool (*is_block_quiet)() = nullptr;
// The kernel with its arguments.
inline void (*body)(void* context) = nullptr;
inline void* body_context = nullptr;

inline void fail(const char* what) {
    std::fprintf(stderr, "emulator: block (%u, %u, %u), thread %u: %s\n", block.x, block.y, block.z, current, what);
    std::abort();
}

inline u64 next_random() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// Differs from warp to warp and from block to block.
inline u32 priority(u32 thread) {
    return static_cast<u32>((thread / WARP + 1) * block_random >> 32);
}

// Goes on with another thread; returns when this one is ready and drawn.
inline void hand_over() {
    void** save = &threads[current].stack_pointer;
    if (ready.empty() && work_beside) {
        work_beside();
    }
    if (ready.empty()) {
        if (n_done == threads.size()) {
            emulator_switch(save, main_stack_pointer);
        }
        fail("all threads wait for each other");
    }
    // Of a few drawn at random, one of the warp that is ahead in this block: some warps run far before others.
    size_t at = next_random() % ready.size();
    for (u32 i = 0; i < 3; i++) {
        const size_t other = next_random() % ready.size();
        if (priority(ready[other]) > priority(ready[at])) {
            at = other;
        }
    }
    current = ready[at];
    ready[at] = ready.back();
    ready.pop_back();
    emulator_switch(save, threads[current].stack_pointer);
}

inline void run_thread() {
    body(body_context);
    Thread& thread = threads[current];
    for (const auto& group : thread.copies) {
        if (!group.empty()) {
            fail("ends with copies that nobody waited for");
        }
    }
    thread.done = true;
    n_done++;
    hand_over();
}

// A step that all lanes of a warp take together: the last one computes it for all.
template <class Out, class In, class Compute>
inline Out together(const char* operation, const In& in, Compute compute) {
    static_assert(sizeof(In) <= 64 && sizeof(Out) <= 64);
    const u32 self = current, lane = self % WARP;
    Warp& warp = warps[self / WARP];
    if (warp.n_arrived > 0 && std::strcmp(warp.operation, operation) != 0) {
        fail("the lanes of a warp are at different places");
    }
    warp.operation = operation;
    std::memcpy(warp.in[lane], &in, sizeof(In));
    if (++warp.n_arrived == WARP) {
        In ins[WARP];
        Out outs[WARP];
        for (u32 i = 0; i < WARP; i++) {
            std::memcpy(&ins[i], warp.in[i], sizeof(In));
        }
        compute(ins, outs);
        for (u32 i = 0; i < WARP; i++) {
            std::memcpy(warp.out[i], &outs[i], sizeof(Out));
            if (i != lane) {
                ready.push_back(self - lane + i);
            }
        }
        warp.n_arrived = 0;
    } else {
        hand_over();
    }
    Out out;
    std::memcpy(&out, warp.out[lane], sizeof(Out));
    return out;
}

inline bool wait_for_block(const char* name, bool condition) {
    if (n_at_barrier > 0 && std::strcmp(barrier, name) != 0) {
        fail("threads wait at different barriers");
    }
    barrier = name;
    barrier_any |= condition;
    if (++n_at_barrier == threads.size()) {
        for (u32 i = 0; i < threads.size(); i++) {
            if (i != current) {
                ready.push_back(i);
            }
        }
        barrier_result = barrier_any;
        barrier_any = n_at_barrier = 0;
    } else {
        hand_over();
    }
    return barrier_result;
}

inline void check_shared(const void* address, size_t bytes) {
    const u8* start = static_cast<const u8*>(address);
    if (start < shared.data() || start + bytes > shared.data() + shared.size() || (start - shared.data()) % 16 != 0) {
        fail("an address is not in shared memory or not aligned");
    }
}

// The numbers that f16 stand for.
inline const float* f16_values();

template <class... Parameters, size_t... I>
inline void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<Parameters>*>(arguments[I])...);
}

template <class... Parameters>
inline void launch(void (*kernel)(Parameters...), const u32* grid, u32 n_threads, u32 shared_bytes, u64 seed,
                   void** arguments) {
    struct Context {
        void (*kernel)(Parameters...);
        void** arguments;
    } context = {kernel, arguments};
    body_context = &context;
    body = [](void* pointer) {
        Context& context = *static_cast<Context*>(pointer);
        call(context.kernel, context.arguments, std::index_sequence_for<Parameters...>());
    };
    random_state = seed * 2 + 1;
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {n_threads, 1, 1};
    threads.resize(n_threads);
    warps.assign(n_threads / WARP, Warp());
    shared.resize(shared_bytes);
    for (block.z = 0; block.z < grid[2]; block.z++) {
        for (block.y = 0; block.y < grid[1]; block.y++) {
            for (block.x = 0; block.x < grid[0]; block.x++) {
                std::memset(shared.data(), 0xff, shared.size());
                n_done = 0;
                block_random = next_random() | 1;
                ready.clear();
                for (u32 i = 0; i < n_threads; i++) {
                    Thread& thread = threads[i];
                    thread.index = {i, 0, 0};
                    thread.stack.resize(STACK_BYTES);
                    thread.done = false;
                    thread.copies.assign(1, {});
                    // As if `run_thread` had been called: the address, then six registers.
                    u64 top = reinterpret_cast<u64>(thread.stack.data() + STACK_BYTES) / 16 * 16 - 8;
                    top -= 8;
                    *reinterpret_cast<void (**)()>(top) = run_thread;
                    thread.stack_pointer = reinterpret_cast<void*>(top - 6 * 8);
                    ready.push_back(i);
                }
                current = ready.back();
                ready.pop_back();
                emulator_switch(&main_stack_pointer, threads[current].stack_pointer);
                if (is_block_quiet && !is_block_quiet()) {
                    fail("the block ends with work under way");
                }
            }
        }
    }
}

} // namespace emulator

#define threadIdx (emulator::threads[emulator::current].index)
#define blockIdx (emulator::block)
#define gridDim (emulator::grid_size)
#define blockDim (emulator::block_size)

inline u8* shared_memory() {
    return emulator::shared.data();
}

inline u32 __float_as_uint(float x) {
    u32 bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __uint_as_float(u32 bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

inline float f32_from_f16(u16 bits) {
    const float sign = bits >> 15 ? -1.0f : 1.0f;
    const u32 exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) {
        return fraction ? NAN : sign * INFINITY;
    }
    return sign * (exponent ? std::ldexp(1024.0f + fraction, static_cast<int>(exponent) - 25) : std::ldexp(static_cast<float>(fraction), -24));
}

inline const float* emulator::f16_values() {
    static const std::vector<float> values = [] {
        std::vector<float> values(1 << 16);
        for (u32 bits = 0; bits < 1 << 16; bits++) {
            values[bits] = f32_from_f16(static_cast<u16>(bits));
        }
        return values;
    }();
    return values.data();
}

inline u16 f16_from_f32(float x) {
    const u16 sign = std::signbit(x) ? 0x8000 : 0;
    const float size = std::fabs(x);
    if (std::isnan(x)) {
        return 0x7fff;
    }
    if (size >= 65520.0f) {
        return sign | 0x7c00;
    }
    // The distance of two f16 around `size`; the current rounding is to nearest, ties to even.
    const int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
    const u32 units = static_cast<u32>(std::nearbyint(std::ldexp(size, 10 - exponent)));
    // Fraction bits beyond ten carry into the exponent.
    return sign | static_cast<u16>(units + (exponent + 14) * 1024);
}

inline u32 pack_f16(float low, float high) {
    return f16_from_f32(low) | static_cast<u32>(f16_from_f32(high)) << 16;
}

inline float exp2_approximate(float x) {
    const float power = std::exp2(x);
    return power < 0x1p-126f ? 0.0f : power;
}

inline float truncated(double x) {
    const float rounded = static_cast<float>(x);
    return std::fabs(rounded) > std::fabs(x) ? std::nextafter(rounded, 0.0f) : rounded;
}

inline void mma_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    struct In {
        float d[4];
        u32 a[4], b[2];
    } in = {{d[0], d[1], d[2], d[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
    struct Out {
        float d[4];
    };
    const Out out = emulator::together<Out>("mma_f16", in, [](const In* in, Out* out) {
        const float* from_f16 = emulator::f16_values();
        double left[16][16], right[16][8];
        for (u32 lane = 0; lane < WARP; lane++) {
            const u32 t = lane % 4, r = lane / 4;
            for (u32 i = 0; i < 4; i++) {
                const u32 row = r + i % 2 * 8, column = 2 * t + i / 2 * 8;
                left[row][column] = from_f16[in[lane].a[i] & 0xffff];
                left[row][column + 1] = from_f16[in[lane].a[i] >> 16];
            }
            for (u32 i = 0; i < 2; i++) {
                right[2 * t + 8 * i][r] = from_f16[in[lane].b[i] & 0xffff];
                right[2 * t + 8 * i + 1][r] = from_f16[in[lane].b[i] >> 16];
            }
        }
        for (u32 lane = 0; lane < WARP; lane++) {
            for (u32 i = 0; i < 4; i++) {
                const u32 row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
                double sum = 0.0;
                for (u32 k = 0; k < 16; k++) {
                    sum += left[row][k] * right[k][column];
                }
                out[lane].d[i] = truncated(in[lane].d[i] + sum);
            }
        }
    });
    std::memcpy(d, out.d, sizeof d);
}

struct MatrixRows {
    u32 pairs[4];
};

template <bool TRANSPOSED>
inline void emulate_load_matrices(u32 (&out)[4], const void* row) {
    emulator::check_shared(row, 16);
    const char* name = TRANSPOSED ? "load_matrices_transposed" : "load_matrices";
    const auto loaded = emulator::together<MatrixRows>(name, row, [](const void* const* rows, MatrixRows* out) {
        for (u32 lane = 0; lane < WARP; lane++) {
            for (u32 i = 0; i < 4; i++) {
                u16 pair[2];
                for (u32 c = 0; c < 2; c++) {
                    u32 r = lane / 4, column = 2 * (lane % 4) + c;
                    if (TRANSPOSED) {
                        std::swap(r, column);
                    }
                    std::memcpy(&pair[c], static_cast<const u8*>(rows[8 * i + r]) + 2 * column, 2);
                }
                out[lane].pairs[i] = pair[0] | static_cast<u32>(pair[1]) << 16;
            }
        }
    });
    std::memcpy(out, loaded.pairs, sizeof out);
}

inline void load_matrices(u32 (&out)[4], const void* row) {
    emulate_load_matrices<false>(out, row);
}

inline void load_matrices_transposed(u32 (&out)[4], const void* row) {
    emulate_load_matrices<true>(out, row);
}

inline void copy_async(void* to, const void* from, bool valid) {
    emulator::check_shared(to, 16);
    if (reinterpret_cast<u64>(from) % 16 != 0) {
        emulator::fail("a copy's source is not aligned");
    }
    std::memset(to, 0xff, 16);
    emulator::threads[emulator::current].copies.back().push_back(
        {static_cast<u8*>(to), static_cast<const u8*>(from), valid});
}

inline void close_copies() {
    emulator::threads[emulator::current].copies.emplace_back();
}

template <u32 OPEN>
inline void wait_for_copies() {
    auto& groups = emulator::threads[emulator::current].copies;
    // The last group is not closed yet.
    while (groups.size() > OPEN + 1) {
        for (const emulator::Copy& copy : groups.front()) {
            if (copy.valid) {
                std::memcpy(copy.to, copy.from, 16);
            } else {
                std::memset(copy.to, 0, 16);
            }
        }
        groups.erase(groups.begin());
    }
}

inline void check_fours(const float4* address) {
    if (reinterpret_cast<u64>(address) % 16 != 0) {
        emulator::fail("an access to 16 bytes is not aligned");
    }
}

inline float4 load_global(const float4* address) {
    check_fours(address);
    return *address;
}

inline float4 load_streaming(const float4* address) {
    return load_global(address);
}

inline void store_global(float4* address, const float4& x) {
    check_fours(address);
    *address = x;
}

template <class T>
inline T shuffle_xor(T value, u32 mask) {
    struct In {
        T value;
        u32 mask;
    };
    return emulator::together<T>("shuffle_xor", In{value, mask}, [](const In* in, T* out) {
        for (u32 lane = 0; lane < WARP; lane++) {
            out[lane] = in[lane ^ in[lane].mask].value;
        }
    });
}

template <class T>
inline T shuffle(T value, u32 lane) {
    struct In {
        T value;
        u32 lane;
    };
    return emulator::together<T>("shuffle", In{value, lane}, [](const In* in, T* out) {
        for (u32 i = 0; i < WARP; i++) {
            out[i] = in[in[i].lane].value;
        }
    });
}

inline u32 lanes_where(bool condition) {
    return emulator::together<u32>("lanes_where", condition, [](const bool* in, u32* out) {
        u32 lanes = 0;
        for (u32 i = 0; i < WARP; i++) {
            lanes |= static_cast<u32>(in[i]) << i;
        }
        std::fill(out, out + WARP, lanes);
    });
}

inline bool any_in_warp(bool condition) {
    return lanes_where(condition) != 0;
}

inline u32 count_bits(u32 bits) {
    return static_cast<u32>(__builtin_popcount(bits));
}

inline void sync_warp() {
    emulator::together<u32>("sync_warp", 0u, [](const u32*, u32* out) { std::memset(out, 0, WARP * sizeof(u32)); });
}

inline void sync_block() {
    emulator::wait_for_block("sync_block", false);
}

inline bool any_in_block(bool condition) {
    return emulator::wait_for_block("any_in_block", condition);
}

template <class T>
inline T atomic_add(T* address, T value) {
    const T before = *address;
    *address = before + value;
    return before;
}

inline u32 atomic_max(u32* address, u32 value) {
    const u32 before = *address;
    *address = before > value ? before : value;
    return before;
}
